import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {createHistory, createUndoStack} from '../../mobilesam/web/static/core/undo_stack.js';

const point = (x) => ({type: 'point', x, y: 0, label: 1});
const A = point(1), B = point(2), C = point(3);
let changes, stack;

beforeEach(() => {
  changes = [];
  stack = createUndoStack((interactions) => changes.push(interactions));
});

test('it starts empty, with nothing to undo or redo', () => {
  assert.deepEqual([stack.interactions, stack.canUndo, stack.canRedo], [[], false, false]);
  stack.undo();
  stack.redo();
  stack.clear();
  assert.deepEqual(changes, []);
});

test('undo and redo return the very states', () => {
  stack.push(A);
  stack.push(B);
  const both = stack.interactions;
  stack.undo();
  assert.deepEqual(stack.interactions, [A]);
  stack.redo();
  assert.equal(stack.interactions, both);
  assert.equal(stack.interactions[0], A);
  assert.deepEqual(changes, [[A], [A, B], [A], [A, B]]);
});

test('clearing can be undone and redone', () => {
  stack.push(A);
  stack.push(B);
  stack.clear();
  assert.deepEqual(stack.interactions, []);
  stack.undo();
  assert.deepEqual(stack.interactions, [A, B]);
  stack.redo();
  assert.deepEqual(stack.interactions, []);
  stack.clear();
  assert.ok(!stack.canRedo);
  stack.undo();
  assert.deepEqual(stack.interactions, [A, B]);
});

test('undo back to nothing leaves everything to redo', () => {
  stack.push(A);
  stack.undo();
  assert.deepEqual([stack.interactions, stack.canUndo, stack.canRedo], [[], false, true]);
});

test('a new interaction after undo discards what was undone', () => {
  stack.push(A);
  stack.push(B);
  stack.undo();
  stack.push(C);
  assert.ok(!stack.canRedo);
  assert.deepEqual(stack.interactions, [A, C]);
  stack.undo();
  assert.deepEqual(stack.interactions, [A]);
});

test('replacing starts from other interactions and undo returns to the previous ones', () => {
  stack.push(A);
  stack.replace([C]);
  assert.deepEqual(stack.interactions, [C]);
  stack.push(B);
  stack.undo();
  stack.undo();
  assert.deepEqual(stack.interactions, [A]);
});

test('what was saved is restored with its undo and redo, whatever was done since', () => {
  stack.push(A);
  stack.push(B);
  stack.undo();
  const saved = stack.save();
  stack.push(C);
  stack.restore({states: [[]], index: 0});
  assert.deepEqual([stack.interactions, stack.canUndo], [[], false]);
  stack.push(C);
  stack.restore(saved);
  assert.deepEqual(stack.interactions, [A]);
  stack.redo();
  assert.deepEqual(stack.interactions, [A, B]);
});

test('what is amended is undone together with the change before', () => {
  const seen = [], history = createHistory(0, (state) => seen.push(state));
  history.replace(1);
  history.amend(2);
  assert.deepEqual([history.current, seen], [2, [1, 2]]);
  history.undo();
  assert.deepEqual([history.current, history.canUndo, history.canRedo], [0, false, true]);
  history.redo();
  history.replace(3);
  history.undo();
  history.amend(4);             // what was undone cannot be redone
  assert.deepEqual([history.current, history.canRedo], [4, false]);
});
