import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {createDataSetExport} from '../../mobilesam/web/static/io/data_set.js';
import {createExactMasks} from '../../mobilesam/web/static/io/exact_masks.js';
import {rleOf} from './masks.js';

const RLE = rleOf(['##..', '##..']), OTHER = rleOf(['...#', '..##']);
const OPTIONS = {format: 'yolo', classes: ['cat'], split: [100, 0, 0], seed: 0, tolerance: 0, withPhotos: false};
const clicked = (name) => ({name, interactions: [{type: 'point', x: 1, y: 1, label: 1}], clean: true, predicted_iou: null});
const loaded = (name, rle) => ({name, interactions: [{type: 'mask', rle}], clean: true, predicted_iou: 0.5});

let calls, replies, kept, opened;
const call = async (name, query) => {
  calls.push([name, query]);
  return (replies[name] ?? (() => ({ok: true})))(query);
};
const loader = {async open(file) { opened.push(file); return {ok: true, state: 'done', token: 'opened'}; }};
const workStore = {masks: async (key) => kept[key] ?? null, async saveMasks(key, masks) { kept[key] = masks; }};

beforeEach(() => {
  calls = [];
  opened = [];
  kept = {};
  replies = {
    masks: ({token}) => (token ? {ok: true, rles: [RLE], predicted_ious: [0.9]} : {ok: false, error: 'gone', expired: true}),
    dataset: ({finish, photo}) => (finish ? {ok: true, path: '/x', name: 'dataset.zip', photos: 2, objects: 2} : photo ? {ok: true, photos: 1} : {ok: true, dataset: 'id'}),
  };
});

const getExactMasks = () => createExactMasks({call, loader, workStore});
const PHOTO = {key: 'a', name: 'a.png', file: new File(['x'], 'a.png'), size: [2, 4], exclusive: null};
const get = (photo, objects) => getExactMasks()({...PHOTO, ...photo}, objects, null, () => {}, () => true);

test('masks of clicks come from the server, which opens the photo, and are asked for once', async () => {
  const objects = [clicked('cat')];
  assert.deepEqual((await get({}, objects)).rles, [RLE]);
  assert.deepEqual((await get({}, [{...objects[0], name: 'dog'}])).rles, [RLE]);
  assert.equal(opened.length, 1);
  assert.deepEqual(calls.map(([name, {token}]) => [name, token]), [['masks', 'opened']]);
  await get({}, [{...objects[0], clean: false}]);
  assert.equal(opened.length, 2);
});

test('masks of the right size that were loaded need no server, others do', async () => {
  assert.deepEqual(await get({}, [loaded('cat', RLE), loaded('dog', OTHER)]), {rles: [RLE, OTHER], predicted_ious: [0.5, 0.5]});
  assert.equal(calls.length, 0);
  await get({size: [200, 400]}, [loaded('cat', RLE)]);
  assert.equal(opened.length, 1);
});

test('a photo that the browser no longer has is reported as such', async () => {
  await assert.rejects(get({file: null}, [clicked('cat')]), /does not have it any more/);
});

const KEYS = ['a', 'b', 'c'];
let photos;
beforeEach(() => {
  photos = {
    a: {...PHOTO, objects: [loaded('cat', RLE)]},
    b: {...PHOTO, key: 'b', name: 'b.png', file: null, objects: [clicked('cat')]},
    c: {...PHOTO, key: 'c', name: 'c.png', objects: []},
  };
});
const run = (isWanted = () => true, options = OPTIONS) => createDataSetExport({call, getExactMasks: getExactMasks()})(
  options, KEYS.map((key) => ({key, name: key + '.png'})), async (key) => photos[key] ?? assert.fail('gone'), () => {}, isWanted);

test('a photo that fails is named, and the others are in the file', async () => {
  const {reply, failures} = await run();
  assert.equal(reply.name, 'dataset.zip');
  assert.deepEqual(failures.map(({name}) => name), ['b.png']);
  const sent = calls.filter(([, {photo}]) => photo).map(([, query]) => query);
  assert.deepEqual(sent.map(({n, photo}) => [n, photo.name, photo.objects.length, photo.path]), [[0, 'a.png', 1, null], [2, 'c.png', 0, null]]);
  assert.deepEqual(calls[0], ['dataset', {format: 'yolo', classes: ['cat'], split: [100, 0, 0], seed: 0, tolerance: 0, photos: ['a', 'b', 'c']}]);
});

test('a photo whose work is gone is named, and the others are in the file', async () => {
  delete photos.a;
  const {reply, failures} = await run();
  assert.equal(reply.name, 'dataset.zip');
  assert.deepEqual(failures[0], {name: 'a.png', error: 'gone'});
  assert.deepEqual(calls.filter(([, {photo}]) => photo).map(([, {n}]) => n), [2]);
});

test('a stopped export sends nothing more', async () => {
  let left = 1;
  assert.equal(await run(() => left-- > 0), null);
  assert.equal(calls.filter(([, {photo}]) => photo).length, 1);
  assert.ok(!calls.some(([, {finish}]) => finish));
});

test('an export that is refused at once says why', async () => {
  replies.dataset = () => ({ok: false, error: 'Too many photos.'});
  assert.deepEqual(await run(), {reply: {ok: false, error: 'Too many photos.'}, failures: []});
});

test('a data set that the server has lost is begun once more', async () => {
  let lost = 1;
  const {dataset} = replies;
  replies.dataset = (query) => (query.n === 2 && lost-- > 0 ? {ok: false, error: 'gone', expired: true} : dataset(query));
  const {reply, failures} = await run();
  assert.equal(reply.name, 'dataset.zip');
  assert.deepEqual(failures.map(({name}) => name), ['b.png']);
  assert.deepEqual(calls.filter(([, {n}]) => n !== undefined).map(([, {n}]) => n), [0, 2, 0, 2]);
});

test('a server that loses every data set or does not answer ends the export', async () => {
  for (const [trouble, begun] of [[{expired: true}, 2], [{isLost: true}, 1]]) {
    calls = [];
    replies.dataset = ({photo}) => (photo ? {ok: false, error: 'gone', ...trouble} : {ok: true, dataset: 'id'});
    assert.equal((await run()).reply.error, 'gone');
    assert.equal(calls.filter(([, {photos: keys}]) => keys).length, begun);
    assert.ok(!calls.some(([, {n}]) => n === 2));
  }
});

test('a photo whose upload the server lost is sent once more', async (t) => {
  t.mock.method(globalThis, 'fetch', async () => ({ok: true, status: 200, json: async () => ['/uploads/a.png']}));
  let lost = 1;
  const {dataset} = replies;
  replies.dataset = (query) => (query.photo && lost-- > 0 ? {ok: false, error: 'gone', expired: true} : dataset(query));
  const {failures} = await run(() => true, {...OPTIONS, withPhotos: true});
  assert.deepEqual(failures.map(({name}) => name), ['b.png']);
  assert.deepEqual(calls.filter(([, {n}]) => n === 0).map(([, {photo}]) => photo.path), ['/uploads/a.png', '/uploads/a.png']);
});
