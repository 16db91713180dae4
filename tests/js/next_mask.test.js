// The preview under the pointer, with a decoder that the tests play: when it shows, and until when.
import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {createStore} from '../../mobilesam/web/static/core/store.js';
import {createNextMask} from '../../mobilesam/web/static/panels/next_mask.js';

const AT = {x: 10.5, y: 20.5}, CLICK = {type: 'point', x: 10, y: 20, label: 1};
const BOX = {type: 'box', box: [10, 20, 60, 80]}, OUTLINE = [[AT]];

let store, nextMask;

const flush = () => new Promise((resolve) => { setImmediate(resolve); });
const isShown = () => store.get().nextMask === OUTLINE;

async function hover(at) {
  nextMask.hover(at);
  await flush();
}

beforeEach(async () => {
  store = createStore({
    photo: {width: 300, height: 200}, decoder: 'ready', hasPreview: true, interactions: [], answered: [], mode: 'clicks',
    tool: 'click', isOpening: false, isRemoving: false, combining: null, objects: [], clean: true, zoom: 1,
    nextMask: null, failureCount: 0,
  });
  nextMask = createNextMask({refs: {pointerPreview: new EventTarget()}, store}, {
    decoder: {open() {}, canAnswer: () => true, outline: async () => OUTLINE},
    withPrompt: (prompt) => [...store.get().interactions, prompt], isClean: () => store.get().clean,
    objectAt: () => null, isRemembered: async () => true, remember() {},
  });
  await hover(AT);
  assert.ok(isShown());
});

test('it leaves with the pointer', async () => {
  await hover(null);
  assert.ok(!isShown());
});

test('what was clicked shows until its mask does, wherever the pointer goes', async () => {
  store.set({interactions: [CLICK]});
  for (const at of [AT, {x: 100, y: 100}, null]) {
    await hover(at);
    assert.ok(isShown());
  }
  store.set({answered: store.get().interactions});
  assert.ok(!isShown());
  await hover(AT);
  assert.ok(!isShown());
});

test('a box that was released shows until its mask does', async () => {
  nextMask.drag(BOX.box);
  await flush();
  store.set({interactions: [BOX]});
  nextMask.drag(null);
  assert.ok(isShown());
  store.set({answered: store.get().interactions});
  assert.ok(!isShown());
});

const ends = {
  'an error': {failureCount: 1}, 'another photo': {photo: {width: 300, height: 200}}, 'a mask that is not cleaned': {clean: false},
  'other interactions': {interactions: [{...CLICK, label: 0}]},
};
for (const [name, end] of Object.entries(ends)) {
  test(`what was clicked shows no longer after ${name}`, () => {
    store.set({interactions: [CLICK]});
    assert.ok(isShown());
    store.set(end);
    assert.ok(!isShown());
  });
}
