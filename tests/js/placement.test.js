// Where an object lies in the result, by hand.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {IN_PLACE, boundsOf, boxAround, covering, moved, placed, visiblePart} from '../../mobilesam/web/static/core/placement.js';
import {rleOf} from './masks.js';

const PHOTO = {width: 600, height: 400};

test('the bounds of a mask are the rows and columns that it touches, in pixels of the photo', () => {
  const rle = rleOf(['......', '..#...', '....#.', '......']);
  assert.deepEqual(boundsOf(rle, 100, {width: 6, height: 4}), [2, 1, 5, 3]);
  assert.deepEqual(boundsOf(rle, 100, PHOTO), [200, 100, 500, 300]);
});

test('the bounds of two parts in one column hold both', () => {
  assert.deepEqual(boundsOf(rleOf(['.#..', '....', '....', '.#..']), 100, {width: 4, height: 4}), [1, 0, 2, 4]);
});

test('the bounds reach to the border of the photo, and an empty mask has none', () => {
  assert.deepEqual(boundsOf(rleOf(['###', '###']), 100, {width: 3, height: 2}), [0, 0, 3, 2]);
  assert.equal(boundsOf(rleOf(['...', '...']), 100, PHOTO), null);
});

test('the bounds measured at a smaller size are those of its pixels there', () => {
  const rows = Array.from({length: 40}, (_, y) => Array.from({length: 60}, (_, x) => (x >= 15 && x < 30 && y >= 8 && y < 20 ? '#' : '.')).join(''));
  assert.deepEqual(boundsOf(rleOf(rows), 30, {width: 60, height: 40}), [14, 8, 30, 20]);
});

test('the box around boxes holds all of them', () => {
  assert.deepEqual(boxAround([[3, 4, 5, 9], [1, 6, 4, 7]]), [1, 4, 5, 9]);
});

test('an object is scaled about its centre and then moved', () => {
  const bounds = [100, 100, 200, 300];
  assert.deepEqual(placed(bounds, bounds, IN_PLACE), bounds);
  assert.deepEqual(placed(bounds, bounds, {x: 10, y: -20, scale: 2}), [60, -20, 260, 380]);
});

test('a picture of the whole photo moves with the object in it', () => {
  assert.deepEqual(placed([0, 0, 600, 400], [100, 100, 200, 300], {x: 0, y: 0, scale: 0.5}), [75, 100, 375, 300]);
});

test('moves add up, and the centre of the object stays in the photo', () => {
  const bounds = [100, 100, 200, 300];
  const once = moved(IN_PLACE, bounds, PHOTO, {x: 30, y: 5, factor: 2});
  assert.deepEqual(once, {x: 30, y: 5, scale: 2});
  assert.deepEqual(moved(once, bounds, PHOTO, {x: -10}), {x: 20, y: 5, scale: 2});
  assert.deepEqual(moved(once, bounds, PHOTO, {x: 9999, y: -9999}), {x: 450, y: -200, scale: 2});
});

test('the size of an object has bounds', () => {
  assert.equal(moved(IN_PLACE, [0, 0, 1, 1], PHOTO, {factor: 100}).scale, 4);
  assert.equal(moved(IN_PLACE, [0, 0, 1, 1], PHOTO, {factor: 0.001}).scale, 0.1);
});

test('a background picture fills the photo and keeps its shape', () => {
  assert.deepEqual(covering({width: 100, height: 100}, {width: 300, height: 200}), [0, -50, 300, 250]);
  assert.deepEqual(covering({width: 400, height: 100}, {width: 300, height: 200}), [-250, 0, 550, 200]);
});

test('the part of a placed object that is in the photo is in whole pixels, at least one', () => {
  assert.deepEqual(visiblePart([10.2, -5, 20.1, 30], PHOTO), [10, 0, 21, 30]);
  assert.deepEqual(visiblePart([590.5, 380, 700, 500], PHOTO), [590, 380, 600, 400]);
  assert.deepEqual(visiblePart([599.95, -0.05, 600.05, 0.05], PHOTO), [599, 0, 600, 1]);
});
