import assert from 'node:assert/strict';
import {test} from 'node:test';

import {actsFor, lastAct, withAct} from '../../mobilesam/web/static/core/acts.js';

const EMPTY = [], CLICKED = [{type: 'point', x: 1, y: 2, label: 1}];
const undo = () => {};

test('the last act is taken back while no click came after it', () => {
  const kept = {undo, interactions: EMPTY}, renamed = {undo, interactions: EMPTY};
  const acts = withAct(withAct([], kept), renamed);
  assert.equal(lastAct({acts, interactions: EMPTY, canUndo: false}), renamed);
  assert.equal(lastAct({acts: [kept], interactions: EMPTY, canUndo: false}), kept);
  assert.equal(lastAct({acts: [], interactions: EMPTY, canUndo: false}), null);
  assert.equal(lastAct({acts, interactions: CLICKED, canUndo: true}), null);
});

test('where clicks cannot be undone, the last act can', () => {
  const deleted = {undo, interactions: CLICKED};
  assert.equal(lastAct({acts: [deleted], interactions: EMPTY, canUndo: false}), deleted);
});

test('an act of the object that is edited counts only while it is', () => {
  const merged = {undo, interactions: CLICKED, objectId: 3}, kept = {undo, interactions: EMPTY};
  assert.deepEqual(actsFor([kept, merged], 3), [kept, merged]);
  assert.deepEqual(actsFor([kept, merged], 4), [kept]);
});

test('only so many acts are kept', () => {
  let acts = [];
  for (let count = 0; count < 500; count++) acts = withAct(acts, {undo, interactions: EMPTY, objectId: count});
  assert.equal(acts.length, 200);
  assert.equal(acts.at(-1).objectId, 499);
});
