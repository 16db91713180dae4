import assert from 'node:assert/strict';
import {test} from 'node:test';

import {createMaskStack} from '../../mobilesam/web/static/core/mask_stack.js';
import {discRle, rleOf} from './masks.js';

const PHOTO = {width: 4, height: 3};
const generated = (id, rows, predicted_iou = 0.9) => (
  {id, rle: rleOf(rows), area: rows.join('').replaceAll('.', '').length, predicted_iou});
const ALL = generated(1, ['####', '####', '####']);
const LEFT = generated(2, ['##..', '##..', '....']);
const SPECK = generated(3, ['....', '.#..', '....']);

function topOf(stack) {
  const [height, width] = stack.size;
  return Array.from({length: height}, (_, y) => Array.from({length: width}, (_, x) => stack.top[x * height + y]).join(''));
}

test('the smallest mask is on top, in whatever order the masks come', () => {
  for (const order of [[ALL, LEFT, SPECK], [SPECK, ALL, LEFT], [LEFT, SPECK, ALL]]) {
    const stack = createMaskStack(1024);
    stack.update([1, 2, 3], order);
    assert.deepEqual(topOf(stack), ['2211', '2311', '1111']);
  }
});

test('masks that come later are stacked with the earlier ones', () => {
  const stack = createMaskStack(1024);
  assert.ok(stack.update([3], [SPECK]));
  assert.ok(stack.update([1, 3], [ALL]));
  assert.deepEqual(topOf(stack), ['1111', '1311', '1111']);
  assert.deepEqual(stack.masks, [ALL, SPECK]);
});

test('masks that are no longer listed disappear', () => {
  const stack = createMaskStack(1024);
  stack.update([1, 2, 3], [ALL, LEFT, SPECK]);
  assert.ok(stack.update([1, 3], []));
  assert.deepEqual(topOf(stack), ['1111', '1311', '1111']);
  assert.equal(stack.get(2), undefined);
  stack.update([], []);
  assert.deepEqual(stack.masks, []);
  assert.equal(stack.idAt({x: 1.5, y: 1.5}, PHOTO), 0);
});

test('the same list again changes nothing', () => {
  const stack = createMaskStack(1024);
  stack.update([1, 2], [ALL, LEFT]);
  const top = stack.top;
  assert.equal(stack.update([1, 2], []), false);
  assert.equal(stack.top, top);
});

test('an id that was never sent is left out', () => {
  const stack = createMaskStack(1024);
  stack.update([2, 7], [LEFT]);
  assert.deepEqual(stack.masks, [LEFT]);
});

test('the mask at a point of the photo is the one that shows there, and none outside', () => {
  const stack = createMaskStack(1024), photo = {width: 400, height: 300};      // shown at another size
  stack.update([2, 3], [LEFT, SPECK]);
  assert.equal(stack.idAt({x: 150, y: 150}, photo), 3);
  assert.equal(stack.idAt({x: 50, y: 199}, photo), 2);
  assert.equal(stack.idAt({x: 250, y: 50}, photo), 0);
  for (const [x, y] of [[-1, 50], [400, 50], [50, -1], [50, 300]]) assert.equal(stack.idAt({x, y}, photo), 0);
  assert.equal(createMaskStack(1024).idAt({x: 1, y: 1}, photo), 0);
});

test('masks of full size are shown at display size and stay as they came', () => {
  const {rle, area} = discRle(3000, 4000, 3000, 1000, 700), mask = {id: 9, rle, area, predicted_iou: 0.8};
  const stack = createMaskStack(1024), photo = {width: 4000, height: 3000};
  stack.update([9], [mask]);
  assert.deepEqual(stack.size, [768, 1024]);
  assert.equal(stack.idAt({x: 3000, y: 1000}, photo), 9);
  assert.equal(stack.idAt({x: 2200, y: 1000}, photo), 0);
  assert.equal(stack.get(9), mask);
});
