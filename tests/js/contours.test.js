import assert from 'node:assert/strict';
import {test} from 'node:test';

import {contoursOf} from '../../mobilesam/web/static/core/contours.js';
import {bitmapOf} from './masks.js';

const MIXED = ['.###...', '....#.#', '.#..###', '#...#..', '...##..'];

/** The corners of each contour, from the first in the order of the columns. */
const cornersOf = (rows) => contoursOf(bitmapOf(rows)).map((contour) => contour.map(({x, y}) => `${x} ${y}`).join(', '));

/** Whether a point is inside contours by the even-odd rule: a ray to the left crosses them an odd number of times. */
function isInside(contours, x, y) {
  let crossings = 0;
  for (const contour of contours) {
    contour.forEach((a, index) => {
      const b = contour[(index + 1) % contour.length];
      if (a.x === b.x && a.x < x && Math.min(a.y, b.y) < y && y < Math.max(a.y, b.y)) crossings++;
    });
  }
  return crossings % 2 === 1;
}

test('a rectangle is one contour with four corners, also at the border of the photo', () => {
  assert.deepEqual(cornersOf(['.....', '.###.', '.###.']), ['1 1, 1 3, 4 3, 4 1']);
  assert.deepEqual(cornersOf(['##', '##']), ['0 0, 0 2, 2 2, 2 0']);
});

test('a hole has a contour of its own', () => {
  assert.deepEqual(cornersOf(['###', '#.#', '###']), ['0 0, 0 3, 3 3, 3 0', '1 1, 1 2, 2 2, 2 1']);
});

test('separate parts have separate contours', () => {
  assert.deepEqual(cornersOf(['#.#']), ['0 0, 0 1, 1 1, 1 0', '2 0, 2 1, 3 1, 3 0']);
});

test('an empty mask has none', () => {
  assert.deepEqual(cornersOf(['...', '...']), []);
});

test('filled by the even-odd rule, contours give the mask', () => {
  for (const rows of [MIXED, ['#.', '.#'], ['.#', '#.'], ['###', '#.#', '##.']]) {
    const contours = contoursOf(bitmapOf(rows));
    rows.forEach((row, y) => [...row].forEach((sign, x) => {
      assert.equal(isInside(contours, x + 0.5, y + 0.5), sign === '#', `${rows} at ${x}, ${y}`);
    }));
  }
});

test('contours are closed, turn at every corner, and are as long as the sides between inside and outside', () => {
  const at = (x, y) => MIXED[y]?.[x] === '#';
  let sides = 0, length = 0;
  for (let y = 0; y <= 5; y++) for (let x = 0; x <= 7; x++) sides += (at(x, y) !== at(x - 1, y)) + (at(x, y) !== at(x, y - 1));
  for (const contour of contoursOf(bitmapOf(MIXED))) {
    contour.forEach((a, index) => {
      const b = contour[(index + 1) % contour.length];
      assert.equal(index % 2 ? a.y : a.x, index % 2 ? b.y : b.x);
      length += Math.abs(a.x - b.x) + Math.abs(a.y - b.y);
    });
  }
  assert.equal(length, sides);
});
