import assert from 'node:assert/strict';
import {test} from 'node:test';

import {withoutOverlaps} from '../../mobilesam/web/static/core/overlaps.js';
import {rleOf, rowsOf} from './masks.js';

// Masks a, b, c, d in order; the expected rows are what `mobilesam.objects.exclusive` returns for them:
// exclusive([PhotoObject("a", a, 0.9), PhotoObject("b", b, None), PhotoObject("c", c, 0.9), PhotoObject("d", d, 0.5)], keep)
const ITEMS = [
  {rle: {size: [4, 6], counts: '031000008'}, predicted_iou: 0.9},       // [:3, :4]
  {rle: {size: [4, 6], counts: '531000003'}, predicted_iou: null},      // [1:, 1:5]
  {rle: {size: [4, 6], counts: '<<'}, predicted_iou: 0.9},              // [:, 3:]
  {rle: {size: [4, 6], counts: '213000000000N'}, predicted_iou: 0.5},   // [2, :]
];
const EXPECTED = {
  later: [
    ['###...', '#.....', '......', '......'], ['......', '.##...', '......', '.##...'],
    ['...###', '...###', '......', '...###'], ['......', '......', '######', '......']],
  predicted_iou: [
    ['###...', '###...', '###...', '......'], ['......', '......', '......', '.##...'],
    ['...###', '...###', '...###', '...###'], ['......', '......', '......', '......']],
};

for (const exclusive of ['later', 'predicted_iou']) {
  test(`shared pixels go to one object as on the server: ${exclusive}`, () => {
    assert.deepEqual(withoutOverlaps(ITEMS, exclusive, 1024).map(rowsOf), EXPECTED[exclusive]);
  });
}

test('masks of several sizes are compared at the largest display size', () => {
  const small = {rle: rleOf(['##', '..']), predicted_iou: null};
  const large = {rle: rleOf(['.#..', '.#..', '.#..', '....']), predicted_iou: null};
  const expected = [['#.##', '#.##', '....', '....'], ['.#..', '.#..', '.#..', '....']];
  assert.deepEqual(withoutOverlaps([small, large], 'later', 1024).map(rowsOf), expected);
  assert.deepEqual(withoutOverlaps([small, large], 'later', 2).map(({size}) => size), [[2, 2], [2, 2]]);
});

test('no objects, no masks', () => {
  assert.deepEqual(withoutOverlaps([], 'later', 1024), []);
});
