import assert from 'node:assert/strict';
import {test} from 'node:test';

import {boxIndex, cursorOf, handlesOf, markerAt, withMoved, withoutMarker} from '../../mobilesam/web/static/core/markers.js';

const PHOTO = {width: 300, height: 200};
const point = (x, y, label = 1) => ({type: 'point', x, y, label});
const BOX = {type: 'box', box: [100, 40, 200, 140]}, CHOICE = {type: 'candidate', index: 2};
const STROKE = {type: 'stroke', path: [[1, 1]], radius: 3, label: 1};
const at = (interactions, x, y, reach = 10, scale = 1) => markerAt(interactions, {x, y}, reach, scale);
const moved = (interactions, marker, x, y) => withMoved(interactions, marker, {x, y}, PHOTO);

test('the nearest point within reach is taken, in pixels of the screen', () => {
  const interactions = [point(50, 50), STROKE, point(56, 50, 0)];
  assert.deepEqual(at(interactions, 52, 50), {index: 0, sides: null});
  assert.deepEqual(at(interactions, 55, 50), {index: 2, sides: null});
  assert.equal(at(interactions, 50.5, 61), null);
  assert.equal(at(interactions, 50.5, 56, 10, 2), null);
  assert.deepEqual(at(interactions, 50.5, 55, 10, 2), {index: 0, sides: null});
  assert.equal(at(interactions, 52, 50, 0), null);
});

test('a box has four corners, and handles in the middle of the sides where there is room', () => {
  const sides = (scale) => handlesOf(BOX.box, scale).map((handle) => handle.sides.join()).sort();
  assert.deepEqual(sides(1), ['-1,-1', '-1,0', '-1,1', '0,-1', '0,1', '1,-1', '1,0', '1,1']);
  assert.deepEqual(sides(0.4), ['-1,-1', '-1,1', '1,-1', '1,1']);
  assert.deepEqual(handlesOf(BOX.box, 1).find((handle) => handle.sides.join() === '1,0'), {x: 200, y: 90, sides: [1, 0]});
});

test('of a box its handles, its border, and not its inside are taken', () => {
  const sidesAt = (x, y) => at([BOX], x, y)?.sides;
  assert.deepEqual(sidesAt(95, 36), [-1, -1]);
  assert.deepEqual(sidesAt(200, 97), [1, 0]);
  assert.deepEqual(sidesAt(150, 147), [0, 1]);
  assert.deepEqual(sidesAt(104, 65), [0, 0]);
  assert.deepEqual(sidesAt(95, 65), [0, 0]);
  for (const [x, y] of [[150, 90], [107, 65], [93, 65], [150, 160]]) assert.equal(sidesAt(x, y), undefined);
  assert.equal(at([BOX], 96, 65, 10, 2), null);
});

test('a point is taken before the box, and the last box before earlier ones', () => {
  const interactions = [{type: 'box', box: [0, 0, 60, 60]}, BOX, point(100, 40)];
  assert.deepEqual(at(interactions, 100, 40), {index: 2, sides: null});
  assert.equal(at(interactions, 1, 1), null);
  assert.equal(boxIndex(interactions), 1);
  assert.equal(boxIndex([point(1, 1)]), -1);
});

test('a moved point keeps its place among the interactions and its label, and stays on the photo', () => {
  const interactions = [BOX, point(50, 50, 0), STROKE];
  assert.deepEqual(moved(interactions, {index: 1, sides: null}, 10.6, -3.4), [BOX, point(61, 47, 0), STROKE]);
  assert.deepEqual(moved(interactions, {index: 1, sides: null}, 999, -999)[1], point(299, 0, 0));
});

test('what does not move is the same list', () => {
  const interactions = [point(50, 50), BOX];
  assert.equal(moved(interactions, {index: 0, sides: null}, 0.3, -0.4), interactions);
  for (const sides of [[0, 0], [1, -1]]) assert.equal(moved(interactions, {index: 1, sides}, 0.3, -0.4), interactions);
});

test('a handle moves its sides only, also across the opposite ones, and never to nothing', () => {
  const box = (sides, x, y) => moved([BOX], {index: 0, sides}, x, y)[0].box;
  assert.deepEqual(box([1, 1], 20.4, -30), [100, 40, 220, 110]);
  assert.deepEqual(box([-1, 0], -10, 50), [90, 40, 200, 140]);
  assert.deepEqual(box([0, -1], 50, 10), [100, 50, 200, 140]);
  assert.deepEqual(box([-1, -1], 130, 120), [200, 140, 230, 160]);
  assert.deepEqual(box([1, 0], -100, 0), [100, 40, 101, 140]);
  assert.deepEqual(box([1, 1], 999, 999), [100, 40, 300, 200]);
  assert.deepEqual(moved([{type: 'box', box: [290, 0, 300, 9]}], {index: 0, sides: [-1, 0]}, 99, 0)[0].box, [299, 0, 300, 9]);
});

test('the border moves the whole box, as far as the photo reaches', () => {
  const box = (x, y) => moved([BOX], {index: 0, sides: [0, 0]}, x, y)[0].box;
  assert.deepEqual(box(-20.4, 10), [80, 50, 180, 150]);
  assert.deepEqual(box(-999, 999), [0, 100, 100, 200]);
});

test('choices of a candidate after what changes are dropped, those before it stay', () => {
  const interactions = [point(1, 1), CHOICE, point(50, 50), CHOICE, STROKE];
  assert.deepEqual(moved(interactions, {index: 2, sides: null}, 5, 0), [point(1, 1), CHOICE, point(55, 50), STROKE]);
  assert.deepEqual(moved(interactions, {index: 0, sides: null}, 5, 0), [point(6, 1), point(50, 50), STROKE]);
  assert.deepEqual(withoutMarker(interactions, {index: 2, sides: null}), [point(1, 1), CHOICE, STROKE]);
  assert.deepEqual(withoutMarker(interactions, {index: 0, sides: null}), [point(50, 50), STROKE]);
});

test('without its only marker an object has no crop either', () => {
  const crop = {type: 'crop', box: [0, 0, 90, 90]};
  assert.deepEqual(withoutMarker([crop, point(1, 1)], {index: 1, sides: null}), []);
  assert.deepEqual(withoutMarker([crop, point(1, 1), point(2, 2)], {index: 1, sides: null}), [crop, point(2, 2)]);
});

test('the cursor shows in which direction a handle moves', () => {
  const cursor = (...sides) => cursorOf({index: 0, sides});
  assert.deepEqual([cursor(0, 0), cursorOf({index: 0, sides: null})], ['move', 'move']);
  assert.deepEqual([cursor(-1, -1), cursor(1, 1), cursor(1, -1)], ['nwse-resize', 'nwse-resize', 'nesw-resize']);
  assert.deepEqual([cursor(-1, 0), cursor(0, 1)], ['ew-resize', 'ns-resize']);
});
