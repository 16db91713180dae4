import assert from 'node:assert/strict';
import {test} from 'node:test';

import {createStore} from '../../mobilesam/web/static/core/store.js';

test('a patch is merged into a new state and the old one stays as it was', () => {
  const store = createStore({tool: 'click', zoom: 1});
  const before = store.get();
  store.set({zoom: 2});
  assert.deepEqual(store.get(), {tool: 'click', zoom: 2});
  assert.deepEqual(before, {tool: 'click', zoom: 1});
});

test('listeners get the state at once, and later the new and the previous one in the order of subscription', () => {
  const store = createStore({zoom: 1}), calls = [];
  store.subscribe((state, previous) => calls.push(['first', state.zoom, previous.zoom]));
  store.subscribe((state) => calls.push(['second', state.zoom]));
  store.set({zoom: 3});
  assert.deepEqual(calls, [['first', 1, 1], ['second', 1], ['first', 3, 1], ['second', 3]]);
});

test('listeners are not called when no value changes', () => {
  const store = createStore({reply: null, zoom: 1});
  let calls = 0;
  store.subscribe(() => { calls++; });
  store.set({zoom: 1, reply: null});
  assert.equal(calls, 1);
  store.set({reply: {}});
  store.set({reply: {}});       // another object
  assert.equal(calls, 3);
});

test('the state cannot be changed from outside', () => {
  const store = createStore({zoom: 1});
  assert.throws(() => { store.get().zoom = 2; }, TypeError);
});
