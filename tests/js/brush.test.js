import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {createBrush} from '../../mobilesam/web/static/canvas/brush.js';

const photo = {width: 300, height: 200};
const LIMITS = {max_interactions: 200, max_path_points: 50, max_radius_px: 40};
let interactions, errors, sizes, draws, isRemoving, brush;

beforeEach(() => {
  [interactions, errors, sizes, draws, isRemoving] = [[], [], [], 0, false];
  brush = createBrush({
    limits: LIMITS, interactions: () => interactions, isRemoving: () => isRemoving,
    onStroke: (stroke) => interactions.push(stroke), onDraw() { draws++; },
    onSize: () => sizes.push(brush.size), onError: (text) => errors.push(text),
  });
});

const gesture = (from, to, {moved = true, isNegative = false, scale = 2} = {}) => (
  {from: {x: from[0], y: from[1]}, to: {x: to[0], y: to[1]}, passed: [{x: to[0], y: to[1]}], moved, isNegative, photo, scale});

function paint(points, options) {
  brush.tool.begin(gesture(points[0], points[0], {...options, moved: false}));
  for (const point of points.slice(1)) brush.tool.move(gesture(points[0], point, options));
  brush.tool.end(gesture(points[0], points.at(-1), options));
}

test('a stroke is in pixels of the photo, with few points', () => {
  const line = Array.from({length: 30}, (_, k) => [60.5 + 4 * k, 170.53]);
  paint([...line, [220.5, 120.5]]);
  assert.deepEqual(interactions, [
    {type: 'stroke', path: [[60.5, 170.5], [176.5, 170.5], [220.5, 120.5]], radius: 9.1, label: 1}]);
});

test('zoomed in the brush paints finer', () => {
  paint([[10, 10], [20, 10]], {scale: 9});
  assert.equal(interactions[0].radius, 2);
});

test('a press is one dab, even if the pointer trembled', () => {
  paint([[10, 10], [10.6, 10.2]], {moved: false});
  assert.deepEqual(interactions[0].path, [[10, 10]]);
});

test('the right button and the switch erase', () => {
  paint([[1, 1], [9, 9]], {isNegative: true});
  isRemoving = true;
  paint([[1, 1], [9, 9]]);
  assert.deepEqual(interactions.map(({label}) => label), [0, 0]);
});

test('a stroke goes through all points that were passed, and shows once for them', () => {
  brush.tool.begin(gesture([1, 1], [1, 1]));
  draws = 0;
  brush.tool.move({...gesture([1, 1], [9, 1]), passed: [{x: 5, y: 8}, {x: 9, y: 1}]});
  assert.deepEqual([brush.stroke.path, draws], [[[1, 1], [5, 8], [9, 1]], 1]);
});

test('whether a stroke erases is decided when it begins', () => {
  brush.tool.begin(gesture([1, 1], [1, 1]));
  isRemoving = true;
  brush.tool.end(gesture([1, 1], [9, 9]));
  assert.equal(interactions[0].label, 1);
});

test('the stroke in progress can be read, and is gone when it ends or is cancelled', () => {
  assert.equal(brush.stroke, null);
  brush.tool.begin(gesture([1, 1], [1, 1]));
  brush.tool.move(gesture([1, 1], [5, 5]));
  assert.deepEqual(brush.stroke, {type: 'stroke', path: [[1, 1], [5, 5]], radius: brush.size / 4, label: 1});
  brush.tool.cancel();
  assert.equal(brush.stroke, null);
  assert.deepEqual([interactions, draws], [[], 3]);
  paint([[1, 1], [9, 9]]);
  assert.equal(brush.stroke, null);
});

test('a stroke beyond the number of interactions is refused in words', () => {
  interactions = Array(LIMITS.max_interactions - 1).fill({type: 'point', x: 0, y: 0, label: 1});
  paint([[1, 1], [9, 9]]);
  assert.deepEqual([interactions.length, errors.length], [200, 0]);
  paint([[1, 1], [9, 9]]);
  assert.equal(interactions.length, 200);
  assert.match(errors[0], /too many brush strokes/);
});

test('a stroke beyond the number of path points is refused in words', () => {
  const zigzag = (length) => Array.from({length}, (_, k) => [5 * k, k % 2 ? 20 : 0]);
  paint(zigzag(30));
  paint(zigzag(20));
  assert.deepEqual([interactions.length, errors.length], [2, 0]);
  paint(zigzag(2));
  assert.deepEqual([interactions.length, errors.length], [2, 1]);
});

test('the radius stays within the limit of the server', () => {
  paint([[1, 1], [9, 9]], {scale: 0.01});
  assert.equal(interactions[0].radius, 40);
  paint([[1, 1], [9, 9]], {scale: 1000});
  assert.equal(interactions[1].radius, 0.1);
});

test('the size goes in steps of the slider, from 4 to 160 pixels', () => {
  assert.deepEqual([brush.share, brush.size.toFixed(3)], [0.6, '36.584']);  // 4 * 40 ** 0.6
  brush.larger();
  assert.equal(brush.size.toFixed(3), '45.648');
  brush.smaller();
  brush.smaller();
  assert.equal(brush.size.toFixed(3), '29.321');
  for (let k = 0; k < 30; k++) brush.larger();
  assert.deepEqual([brush.size, brush.share], [160, 1]);
  for (let k = 0; k < 40; k++) brush.smaller();
  assert.deepEqual([brush.size, brush.share], [4, 0]);
  assert.equal(sizes.at(-1), 4);
});

test('the slider moves in equal steps of ratio', () => {
  brush.setShare(1);
  assert.equal(brush.size, 160);
  brush.setShare(0.5);
  assert.ok(Math.abs(brush.size - Math.sqrt(4 * 160)) < 1e-9);
});
