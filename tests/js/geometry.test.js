import assert from 'node:assert/strict';
import {test} from 'node:test';

import {boxBetween, clamp, clampedTo, fitted, isInside, pixelAt, simplifiedPath} from '../../mobilesam/web/static/core/geometry.js';

const PHOTO = {width: 300, height: 200};

test('clamp keeps a value between two others', () => {
  assert.deepEqual([clamp(-1, 0, 5), clamp(3, 0, 5), clamp(9, 0, 5)], [0, 3, 5]);
});

test('a size is scaled down to a longest side, never up and never to nothing', () => {
  assert.deepEqual(fitted(4000, 3000, 1024), [1024, 768]);
  assert.deepEqual(fitted(300, 200, 1024), [300, 200]);
  assert.deepEqual(fitted(10000, 3, 1024), [1024, 1]);
  assert.deepEqual(fitted(3, 10000, 96), [1, 96]);
});

test('the edges of a photo belong to it', () => {
  assert.ok(isInside({x: 0, y: 200}, PHOTO));
  assert.ok(!isInside({x: -0.1, y: 5}, PHOTO));
  assert.ok(!isInside({x: 5, y: 200.1}, PHOTO));
});

test('a point outside is moved to the nearest edge', () => {
  assert.deepEqual(clampedTo({x: -20, y: 250}, PHOTO), {x: 0, y: 200});
  assert.deepEqual(clampedTo({x: 7.5, y: 8}, PHOTO), {x: 7.5, y: 8});
});

test('a point is in the pixel around it, also on the last edges', () => {
  assert.deepEqual(pixelAt({x: 211.99, y: 37}, PHOTO), {x: 211, y: 37});
  assert.deepEqual(pixelAt({x: 300, y: 200}, PHOTO), {x: 299, y: 199});
  assert.deepEqual(pixelAt({x: -1, y: 0.5}, PHOTO), {x: 0, y: 0});
});

test('a box contains the pixels at both of its corners, whichever comes first', () => {
  const a = {x: 30.5, y: 40.2}, b = {x: 150.5, y: 160.9};
  assert.deepEqual(boxBetween(a, b), [30, 40, 151, 161]);
  assert.deepEqual(boxBetween(b, a), [30, 40, 151, 161]);
  assert.deepEqual(boxBetween({x: 150.5, y: 40.2}, {x: 30.5, y: 160.9}), [30, 40, 151, 161]);
});

test('a box at whole coordinates has exactly those', () => {
  assert.deepEqual(boxBetween({x: 0, y: 0}, {x: 300, y: 200}), [0, 0, 300, 200]);
});

test('a straight path keeps its ends only', () => {
  const path = Array.from({length: 50}, (_, k) => [k, 2 * k]);
  assert.deepEqual(simplifiedPath(path, 0.1), [[0, 0], [49, 98]]);
});

test('corners of a path stay and small deviations go', () => {
  const path = [[60, 170], [100, 170.2], [150, 169.9], [200, 170], [220, 145], [240, 120]];
  assert.deepEqual(simplifiedPath(path, 0.5), [[60, 170], [200, 170], [240, 120]]);
  assert.equal(simplifiedPath(path, 0.05).length, 5);
});

test('a simplified path stays within the tolerance of the drawn one', () => {
  const path = Array.from({length: 400}, (_, k) => [k, 40 * Math.sin(k / 30)]);
  const kept = simplifiedPath(path, 0.5);
  assert.ok(kept.length < 60, `${kept.length} points`);
  assert.deepEqual([kept[0], kept.at(-1)], [path[0], path.at(-1)]);
  for (const [x, y] of path) {
    const next = kept.findIndex(([other]) => other >= x), [x1, y1] = kept[next], [x0, y0] = kept[Math.max(0, next - 1)];
    const t = x1 === x0 ? 0 : (x - x0) / (x1 - x0);
    const along = Math.hypot(x1 - x0, y1 - y0) || 1;
    assert.ok(Math.abs(y - (y0 + t * (y1 - y0))) * (x1 - x0 || 1) / along <= 0.5 + 1e-9);
  }
});

test('a path that returns to its start keeps its farthest point', () => {
  assert.deepEqual(simplifiedPath([[0, 0], [5, 0], [10, 0], [5, 0], [0, 0]], 0.5), [[0, 0], [10, 0], [0, 0]]);
});

test('paths of one and two points stay', () => {
  assert.deepEqual(simplifiedPath([[3, 4]], 1), [[3, 4]]);
  assert.deepEqual(simplifiedPath([[3, 4], [3, 4]], 1), [[3, 4], [3, 4]]);
});
