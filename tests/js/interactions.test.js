import assert from 'node:assert/strict';
import {test} from 'node:test';

import {cropIn, isAnswerable, lastPrompt, strokesSince} from '../../mobilesam/web/static/core/interactions.js';

const point = (label) => ({type: 'point', x: 1, y: 2, label});
const stroke = (label = 1, length = 2) => ({type: 'stroke', path: Array(length).fill([0, 0]), radius: 3, label});
const BOX = {type: 'box', box: [0, 0, 5, 5]}, MASK = {type: 'mask', rle: {size: [1, 1], counts: '1'}};
const CANDIDATE = {type: 'candidate', index: 1};

test('only negative points and erasing strokes are not answerable', () => {
  for (const one of [point(1), BOX, MASK, stroke(1)]) assert.ok(isAnswerable([point(0), one]), one.type);
  for (const list of [[], [point(0)], [stroke(0)], [point(0), stroke(0), CANDIDATE]]) assert.ok(!isAnswerable(list));
});

test('a crop selects nothing, and is found among the interactions', () => {
  const crop = {type: 'crop', box: [0, 0, 90, 90]};
  assert.ok(!isAnswerable([crop]));
  assert.equal(cropIn([crop, point(1)]), crop);
  assert.equal(cropIn([point(1), BOX]), undefined);
});

test('the last prompt is never the choice of a candidate', () => {
  const click = point(1);
  assert.equal(lastPrompt([BOX, click, CANDIDATE, CANDIDATE]), click);
  assert.equal(lastPrompt([]), undefined);
  assert.equal(lastPrompt([CANDIDATE]), undefined);
});

test('strokes that the mask contains are not painted again', () => {
  const first = stroke(), second = stroke(0);
  assert.deepEqual(strokesSince([first], [first, second]), [second]);
  assert.deepEqual(strokesSince([first, second], [first, second]), []);
  assert.deepEqual(strokesSince([], [first, second]), [first, second]);
});

test('strokes are compared by identity, not by value', () => {
  const first = stroke();
  assert.deepEqual(strokesSince([first], [{...first}]), [first]);
});

test('after undo nothing is painted that the mask contains already', () => {
  const first = stroke(), second = stroke();
  assert.deepEqual(strokesSince([first, second], [first]), []);
});

test('after undo and another stroke only that one is painted', () => {
  const [first, undone, next] = [stroke(), stroke(), stroke()];
  assert.deepEqual(strokesSince([first, undone], [first, next]), [next]);
});

test('a newer box or mask starts a new mask: older strokes are not painted on it', () => {
  const before = stroke(), after = stroke();
  assert.deepEqual(strokesSince([], [before, BOX, after]), [after]);
  assert.deepEqual(strokesSince([], [before, MASK]), []);
  assert.deepEqual(strokesSince([before, BOX], [before, BOX, point(1), after]), [after]);
});

test('a point between strokes does not discard them', () => {
  const before = stroke(), after = stroke();
  assert.deepEqual(strokesSince([before], [before, point(1), after]), [after]);
  assert.deepEqual(strokesSince([], [before, point(0), after]), [before, after]);
});
