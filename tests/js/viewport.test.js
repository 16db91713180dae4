import assert from 'node:assert/strict';
import {test} from 'node:test';

import {pixelAt} from '../../mobilesam/web/static/core/geometry.js';
import {
  FIT, MAX_ZOOM, constrained, panned, projection, revealing, toImage, toScreen, transformed, zoomed,
} from '../../mobilesam/web/static/core/viewport.js';

// A photo of 300 x 200 that fills a canvas, at 3 CSS pixels a photo pixel.
const VIEWPORT = {width: 900, height: 600, fit: 3, photo: {width: 300, height: 200}};
// One of 60 x 400 in a canvas that is much wider than it.
const NARROW = {width: 900, height: 600, fit: 1.5, photo: {width: 60, height: 400}};

function near(actual, expected, tolerance = 1e-9) {
  for (const key of Object.keys(expected)) {
    assert.ok(Math.abs(actual[key] - expected[key]) <= tolerance, `${key}: ${actual[key]}, not ${expected[key]}`);
  }
}

const zoomedTo = (factor, screenPoint, viewport = VIEWPORT) => zoomed(FIT, viewport, factor, screenPoint);

test('at fit the corners of the photo are those of the canvas', () => {
  near(toScreen(FIT, VIEWPORT, {x: 0, y: 0}), {x: 0, y: 0});
  near(toScreen(FIT, VIEWPORT, {x: 300, y: 200}), {x: 900, y: 600});
  near(projection(FIT, NARROW), {scale: 1.5, left: 405, top: 0});
});

test('imagePoints and screenPoints are converted into one another at every zoom', () => {
  for (const view of [FIT, zoomedTo(3, {x: 600, y: 180}), panned(zoomedTo(15.9, {x: 10, y: 10}), VIEWPORT, -400, -90)]) {
    for (const imagePoint of [{x: 0, y: 0}, {x: 211.5, y: 37.25}, {x: 300, y: 200}]) {
      near(toImage(view, VIEWPORT, toScreen(view, VIEWPORT, imagePoint)), imagePoint);
    }
  }
});

test('zoomed in and moved, the pixel that is seen is the pixel that is hit', () => {
  const view = panned(zoomedTo(3, {x: 600, y: 180}), VIEWPORT, 60, 80);
  const {x, y} = toScreen(view, VIEWPORT, {x: 211.5, y: 37.5}), size = projection(view, VIEWPORT).scale;
  assert.equal(size, 9);
  for (const [dx, dy, column, row] of [[0, 0, 211, 37], [0.6, 0, 212, 37], [0.4, 0.4, 211, 37], [0, -0.6, 211, 36]]) {
    const imagePoint = toImage(view, VIEWPORT, {x: x + dx * size, y: y + dy * size});
    assert.deepEqual(pixelAt(imagePoint, VIEWPORT.photo), {x: column, y: row});
  }
});

test('zooming keeps what is under the pointer where it is', () => {
  const pointer = {x: 634.5, y: 112.5}, imagePoint = toImage(FIT, VIEWPORT, pointer);
  for (const factor of [1.06, 2, 7.3, 16]) near(toScreen(zoomedTo(factor, pointer), VIEWPORT, imagePoint), pointer);
});

test('the zoom stays between the whole photo and its maximum', () => {
  const centre = {x: 450, y: 300};
  assert.equal(MAX_ZOOM, 16);
  assert.equal(zoomedTo(100, centre).zoom, 16);
  assert.deepEqual(zoomed(zoomedTo(4, {x: 3, y: 500}), VIEWPORT, 0.01, centre), FIT);
  assert.deepEqual(zoomedTo(0.5, centre), FIT);
});

test('steps of 1.5 there and back end at the same zoom', () => {
  const centre = {x: 450, y: 300};
  const twice = zoomed(zoomedTo(1.5, centre), VIEWPORT, 1.5, centre);
  assert.equal(twice.zoom, 2.25);
  assert.equal(zoomed(twice, VIEWPORT, 1 / 1.5, centre).zoom, 1.5);
});

test('a zoom that looks like the whole photo is the whole photo', () => {
  assert.equal(constrained({zoom: 1.0005, x: 0.2, y: 0.9}, VIEWPORT), FIT);
  assert.notEqual(constrained({zoom: 1.01, x: 0.2, y: 0.9}, VIEWPORT), FIT);
});

test('the photo cannot be moved out of sight: it covers the canvas', () => {
  for (const [dx, dy, corner] of [[1, 1, {x: 0, y: 0}], [-1, 1, {x: 900, y: 0}], [1, -1, {x: 0, y: 600}], [-1, -1, {x: 900, y: 600}]]) {
    const view = panned(zoomedTo(5, {x: 450, y: 300}), VIEWPORT, 9000 * dx, 9000 * dy);
    near(toImage(view, VIEWPORT, corner), {x: corner.x / 3, y: corner.y / 3}, 1e-9);
  }
});

test('a photo narrower than the canvas stays centred', () => {
  const view = panned(zoomedTo(1.5, {x: 450, y: 300}, NARROW), NARROW, 300, 0);
  near(toScreen(view, NARROW, {x: 30, y: 200}), {x: 450, y: 300});
});

test('panning moves what is seen by as many CSS pixels', () => {
  const before = zoomedTo(4, {x: 450, y: 300}), after = panned(before, VIEWPORT, -70, 40);
  const {x, y} = toScreen(before, VIEWPORT, {x: 150, y: 100});
  near(toScreen(after, VIEWPORT, {x: 150, y: 100}), {x: x - 70, y: y + 40});
});

test('a pinch scales around and follows the fingers', () => {
  const from = {x: 400, y: 250}, to = {x: 430, y: 290}, imagePoint = toImage(FIT, VIEWPORT, from);
  const view = transformed(FIT, VIEWPORT, 2.5, from, to);
  assert.equal(view.zoom, 2.5);
  near(toScreen(view, VIEWPORT, imagePoint), to);
});

test('a view means the same part of the photo in a canvas of another size', () => {
  const view = zoomedTo(4, {x: 200, y: 300});
  const smaller = {...VIEWPORT, width: 450, height: 300, fit: 1.5};
  near(toImage(view, smaller, {x: 225, y: 150}), toImage(view, VIEWPORT, {x: 450, y: 300}));
});

test('a point is revealed with a margin, by the least movement', () => {
  const view = zoomedTo(4, {x: 450, y: 300}), corner = {x: 299.5, y: 0.5};
  const there = toScreen(revealing(view, VIEWPORT, corner, 32), VIEWPORT, corner);
  assert.ok(there.x >= 868 && there.x <= 900, `x ${there.x}`);     // the edge of the photo allows no more margin
  assert.ok(there.y >= 0 && there.y <= 32, `y ${there.y}`);
  const hidden = {x: 100, y: 100}, shown = toScreen(revealing(view, VIEWPORT, hidden, 32), VIEWPORT, hidden);
  near(shown, {x: 32, y: 300});
  assert.deepEqual(revealing(view, VIEWPORT, {x: 150, y: 100}, 32), view);
});
