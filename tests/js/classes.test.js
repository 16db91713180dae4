import assert from 'node:assert/strict';
import {test} from 'node:test';

import {classColour, withClass, withFirst, withRenamed} from '../../mobilesam/web/static/core/classes.js';
import {PALETTE} from '../../mobilesam/web/static/core/palette.js';

test('a class is added at the end, once, and never without a name', () => {
  assert.deepEqual(withClass(['cat'], 'dog'), ['cat', 'dog']);
  const classes = ['cat', 'dog'];
  assert.equal(withClass(classes, 'cat'), classes);
  assert.equal(withClass(classes, ''), classes);
});

test('a list from a file comes first, and what is not in it follows in its order', () => {
  assert.deepEqual(withFirst(['a', 'b', 'c'], ['c', 'x']), ['c', 'x', 'a', 'b']);
});

test('a renamed class keeps its place, and one that becomes another gives it up', () => {
  assert.deepEqual(withRenamed(['a', 'b', 'c'], 'b', 'x'), ['a', 'x', 'c']);
  assert.deepEqual(withRenamed(['a', 'b', 'c'], 'b', 'c'), ['a', 'c']);
  assert.deepEqual(withRenamed(['a', 'b', 'c'], 'b', 'a'), ['a', 'c']);
});

test('classes have the colours of the palette in order, other names none', () => {
  const classes = Array.from({length: PALETTE.length + 1}, (_, k) => 'class ' + k);
  assert.deepEqual(['class 0', 'class 1', 'class ' + PALETTE.length, 'dog'].map((name) => classColour(classes, name)),
    [PALETTE[0], PALETTE[1], PALETTE[0], null]);
});
