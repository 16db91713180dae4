import assert from 'node:assert/strict';
import {afterEach, mock, test} from 'node:test';

import {cropFor} from '../../mobilesam/web/static/core/crops.js';
import {createStore} from '../../mobilesam/web/static/core/store.js';
import {createCrops} from '../../mobilesam/web/static/panels/crops.js';

const PHOTO = {width: 4000, height: 3000};
const flush = () => new Promise((resolve) => { setImmediate(resolve); });

afterEach(() => mock.timers.reset());

test('zoomed in by 2.5 or more, the crop holds what shows, on a grid, and not much more', () => {
  // 1000 x 750 pixels show; a grid of 128 divides them at least four times.
  assert.deepEqual(cropFor([1010, 900, 2010, 1650], 4, PHOTO, null), [896, 896, 2048, 1664]);
  assert.equal(cropFor([1010, 900, 2710, 2175], 2.4, PHOTO, null), null);
});

test('a crop ends with the photo', () => {
  assert.deepEqual(cropFor([3000, 2250, 4000, 3000], 4, PHOTO, null), [2944, 2176, 4000, 3000]);
});

test('the crop of an earlier view is kept while it holds the view and is not much larger', () => {
  const earlier = cropFor([1010, 900, 2010, 1650], 4, PHOTO, null);
  assert.equal(cropFor([1040, 910, 2040, 1660], 4, PHOTO, earlier), earlier);
  assert.equal(cropFor([1200, 1000, 1800, 1450], 6.7, PHOTO, earlier), earlier);
  assert.notEqual(cropFor([1060, 910, 2060, 1660], 4, PHOTO, earlier), earlier);
  assert.notEqual(cropFor([1200, 1000, 1700, 1375], 8, PHOTO, earlier), earlier);
});

test('a very small view is encoded with what is around it', () => {
  const crop = cropFor([500, 400, 532, 424], 16, {width: 1200, height: 900}, null);
  assert.ok(crop[2] - crop[0] >= 256 && crop[3] - crop[1] >= 256, String(crop));
  assert.ok(crop[0] <= 500 && crop[1] <= 400 && crop[2] >= 532 && crop[3] >= 424, String(crop));
});

test('a photo that the model sees in full and a very narrow one have no crops', () => {
  assert.equal(cropFor([0, 0, 256, 192], 4, {width: 1024, height: 768}, null), null);
  assert.notEqual(cropFor([0, 0, 257, 192], 4, {width: 1025, height: 768}, null), null);
  assert.equal(cropFor([0, 0, 1000, 100], 4, {width: 4000, height: 100}, null), null);
});

/** Crops of a store with a photo, zoomed in four times; `replies` are those of the server. */
function opened(...replies) {
  mock.timers.enable({apis: ['setTimeout']});
  const store = createStore({photo: PHOTO, zoom: 4}), view = {visible: [1010, 900, 2010, 1650]}, asked = [];
  const crops = createCrops(store, {
    visible: () => view.visible,
    encode: async (crop) => { asked.push(crop); return replies.shift() ?? {ok: true}; },
  });
  const rest = async () => { crops.encodeAtRest(); mock.timers.tick(400); await flush(); };
  return {store, view, asked, crops, rest};
}

test('a crop is encoded once, when the view has rested', async () => {
  const {crops, asked, rest} = opened();
  crops.encodeAtRest();
  mock.timers.tick(300);
  crops.encodeAtRest();
  mock.timers.tick(399);
  assert.equal(asked.length, 0);
  mock.timers.tick(1);
  await flush();
  await rest();
  assert.deepEqual(asked, [[896, 896, 2048, 1664]]);
  assert.deepEqual(crops.current, asked[0]);
});

test('at fit nothing is encoded', async () => {
  const {store, crops, asked, rest} = opened();
  store.set({zoom: 1});
  await rest();
  assert.deepEqual([crops.current, asked.length], [null, 0]);
});

test('a crop that the server refused is not used until it has been encoded after all', async () => {
  const {crops, asked, rest} = opened({ok: false, error: 'Busy.'});
  await rest();
  assert.equal(crops.current, null);
  await rest();
  assert.equal(asked.length, 2);
  assert.deepEqual(crops.current, asked[0]);
});

test('crops of one photo are not used for another', async () => {
  const {store, asked, rest} = opened();
  await rest();
  store.set({photo: {...PHOTO}});
  await rest();
  assert.deepEqual(asked, [asked[0], asked[0]]);
});
