import assert from 'node:assert/strict';
import {test} from 'node:test';

import {outlineEdges} from '../../mobilesam/web/static/core/outline.js';
import {bitmapOf} from './masks.js';

function edgesOf(rows) {
  const edges = outlineEdges(bitmapOf(rows));
  return Array.from({length: edges.length / 4}, (_, k) => edges.slice(4 * k, 4 * k + 4).join(' ')).sort();
}

test('a rectangle has four edges, also at the border of the photo', () => {
  assert.deepEqual(edgesOf(['.....', '.###.', '.###.']), ['1 1 1 3', '1 1 4 1', '1 3 4 3', '4 1 4 3']);
  assert.deepEqual(edgesOf(['##', '##']), ['0 0 0 2', '0 0 2 0', '0 2 2 2', '2 0 2 2']);
});

test('a hole has edges of its own', () => {
  assert.deepEqual(edgesOf(['###', '#.#', '###']), [
    '0 0 0 3', '0 0 3 0', '0 3 3 3', '1 1 1 2', '1 1 2 1', '1 2 2 2', '2 1 2 2', '3 0 3 3']);
});

test('separate parts have separate edges', () => {
  assert.deepEqual(edgesOf(['#.#']), ['0 0 0 1', '0 0 1 0', '0 1 1 1', '1 0 1 1', '2 0 2 1', '2 0 3 0', '2 1 3 1', '3 0 3 1']);
});

test('an empty mask has none', () => {
  assert.deepEqual(edgesOf(['...', '...']), []);
});

test('the length of all edges is the number of pixel sides between inside and outside', () => {
  const rows = ['.###...', '....#.#', '.#..###', '#...#..', '...##..'];
  const at = (x, y) => rows[y]?.[x] === '#';
  let sides = 0;
  for (let y = 0; y <= 5; y++) for (let x = 0; x <= 7; x++) sides += (at(x, y) !== at(x - 1, y)) + (at(x, y) !== at(x, y - 1));
  const edges = outlineEdges(bitmapOf(rows));
  let length = 0;
  for (let k = 0; k < edges.length; k += 4) length += edges[k + 2] - edges[k] + edges[k + 3] - edges[k + 1];
  assert.equal(length, sides);
});
