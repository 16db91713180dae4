import assert from 'node:assert/strict';
import {test} from 'node:test';

import {pixelAt} from '../../mobilesam/web/static/core/geometry.js';
import {MAX_ZOOM, createViewport} from '../../mobilesam/web/static/core/viewport.js';

// A canvas of 900 x 600. By default the photo of 300 x 200 fills it, at 3 CSS pixels a photo pixel.
const CANVAS = {width: 900, height: 600}, CENTRE = {x: 450, y: 300}, FIT = {zoom: 1, x: 0.5, y: 0.5};
// A photo that is much narrower than the canvas.
const NARROW = {photo: {width: 60, height: 400}, photoWidth: 90};

function open({photo = {width: 300, height: 200}, photoWidth = 900} = {}) {
  const viewport = createViewport(() => ({...CANVAS, photoWidth}), () => {});
  viewport.open(photo);
  return viewport;
}

/** A viewport that is zoomed around a screenPoint, then moved by CSS pixels. */
function zoomed(factor, at = CENTRE, dx = 0, dy = 0, options = {}) {
  const viewport = open(options);
  viewport.transform(factor, at, at);
  viewport.transform(1, {x: 0, y: 0}, {x: dx, y: dy});
  return viewport;
}

function near(actual, expected, tolerance = 1e-9) {
  for (const key of Object.keys(expected)) {
    assert.ok(Math.abs(actual[key] - expected[key]) <= tolerance, `${key}: ${actual[key]}, not ${expected[key]}`);
  }
}

test('at fit the corners of the photo are those of the canvas', () => {
  near(open().toScreen({x: 0, y: 0}), {x: 0, y: 0});
  near(open().toScreen({x: 300, y: 200}), {x: 900, y: 600});
  near(open(NARROW).projection(), {scale: 1.5, left: 405, top: 0, width: 900, height: 600});
});

test('imagePoints and screenPoints are converted into one another at every zoom', () => {
  for (const viewport of [open(), zoomed(3, {x: 600, y: 180}), zoomed(15.9, {x: 10, y: 10}, -400, -90)]) {
    for (const imagePoint of [{x: 0, y: 0}, {x: 211.5, y: 37.25}, {x: 300, y: 200}]) {
      near(viewport.toImage(viewport.toScreen(imagePoint)), imagePoint);
    }
  }
});

test('zoomed in and moved, the pixel that is seen is the pixel that is hit', () => {
  const viewport = zoomed(3, {x: 600, y: 180}, 60, 80);
  const {x, y} = viewport.toScreen({x: 211.5, y: 37.5}), {scale, photo} = viewport.projection();
  assert.equal(scale, 9);
  for (const [dx, dy, column, row] of [[0, 0, 211, 37], [0.6, 0, 212, 37], [0.4, 0.4, 211, 37], [0, -0.6, 211, 36]]) {
    const imagePoint = viewport.toImage({x: x + dx * scale, y: y + dy * scale});
    assert.deepEqual(pixelAt(imagePoint, photo), {x: column, y: row});
  }
});

test('zooming keeps what is under the pointer where it is', () => {
  const pointer = {x: 634.5, y: 112.5}, imagePoint = open().toImage(pointer);
  for (const factor of [1.06, 2, 7.3, 16]) near(zoomed(factor, pointer).toScreen(imagePoint), pointer);
});

test('the zoom stays between the whole photo and its maximum', () => {
  assert.equal(MAX_ZOOM, 16);
  assert.equal(zoomed(100).view.zoom, 16);
  assert.deepEqual(zoomed(0.5).view, FIT);
  const viewport = zoomed(4, {x: 3, y: 500});
  viewport.transform(0.01, CENTRE, CENTRE);
  assert.deepEqual(viewport.view, FIT);
});

test('steps of 1.5 there and back end at the same zoom', () => {
  const viewport = zoomed(1.5);
  viewport.transform(1.5, CENTRE, CENTRE);
  assert.equal(viewport.view.zoom, 2.25);
  viewport.transform(1 / 1.5, CENTRE, CENTRE);
  assert.equal(viewport.view.zoom, 1.5);
});

test('a zoom that looks like the whole photo is the whole photo', () => {
  assert.deepEqual(zoomed(1.0005, {x: 10, y: 590}).view, FIT);
  assert.equal(zoomed(1.01, {x: 10, y: 590}).view.zoom, 1.01);
});

test('fit and another photo show the whole photo', () => {
  const viewport = zoomed(5, {x: 10, y: 10});
  viewport.fit();
  assert.deepEqual(viewport.view, FIT);
  viewport.transform(5, CENTRE, CENTRE);
  viewport.open({width: 20, height: 10});
  assert.deepEqual([viewport.view, viewport.photo], [FIT, {width: 20, height: 10}]);
});

test('the photo cannot be moved out of sight: it covers the canvas', () => {
  for (const [dx, dy, corner] of [[1, 1, {x: 0, y: 0}], [-1, 1, {x: 900, y: 0}], [1, -1, {x: 0, y: 600}], [-1, -1, {x: 900, y: 600}]]) {
    near(zoomed(5, CENTRE, 9000 * dx, 9000 * dy).toImage(corner), {x: corner.x / 3, y: corner.y / 3}, 1e-9);
  }
});

test('a photo narrower than the canvas stays centred', () => {
  near(zoomed(1.5, CENTRE, 300, 0, NARROW).toScreen({x: 30, y: 200}), CENTRE);
});

test('panning moves what is seen by as many CSS pixels', () => {
  const {x, y} = zoomed(4).toScreen({x: 150, y: 100});
  near(zoomed(4, CENTRE, -70, 40).toScreen({x: 150, y: 100}), {x: x - 70, y: y + 40});
});

test('a pinch scales around and follows the fingers', () => {
  const from = {x: 400, y: 250}, to = {x: 430, y: 290}, viewport = open(), imagePoint = viewport.toImage(from);
  viewport.transform(2.5, from, to);
  assert.equal(viewport.view.zoom, 2.5);
  near(viewport.toScreen(imagePoint), to);
});

test('a transform from an earlier view replaces what was done since', () => {
  const viewport = zoomed(4), {view} = viewport;
  viewport.transform(1, CENTRE, {x: 9000, y: 300});             // as far as the edge
  viewport.transform(1, CENTRE, {x: 460, y: 300}, view);
  assert.deepEqual(viewport.view, zoomed(4, CENTRE, 10, 0).view);
});

test('a view means the same part of the photo in a canvas of another size', () => {
  let shrink = 1, changes = 0;
  const viewport = createViewport(() => ({width: 900 / shrink, height: 600 / shrink, photoWidth: 900 / shrink}), () => { changes++; });
  viewport.open({width: 300, height: 200});
  viewport.transform(4, {x: 200, y: 300}, {x: 200, y: 300});
  const middle = viewport.toImage(CENTRE);
  shrink = 2;
  viewport.refresh();
  near(viewport.toImage({x: 225, y: 150}), middle);
  near(viewport.centre, middle);
  assert.equal(changes, 3);
});

test('a point is revealed with a margin, by the least movement', () => {
  const viewport = zoomed(4), corner = {x: 299.5, y: 0.5}, hidden = {x: 100, y: 100};
  assert.ok(!viewport.isVisible(corner));
  viewport.reveal(corner, 32);
  const there = viewport.toScreen(corner);
  assert.ok(there.x >= 868 && there.x <= 900, `x ${there.x}`);     // the edge of the photo allows no more margin
  assert.ok(there.y >= 0 && there.y <= 32, `y ${there.y}`);
  assert.ok(viewport.isVisible(corner));
  const other = zoomed(4);
  other.reveal(hidden, 32);
  near(other.toScreen(hidden), {x: 32, y: 300});
  const {view} = other;
  other.reveal({x: 120, y: 100}, 32);
  assert.deepEqual(other.view, view);
});

test('a photo that is narrower than the canvas stays in the middle, wherever it is moved', () => {
  for (const dx of [-300, 0, 300]) near(zoomed(8, CENTRE, dx, 0, NARROW).view, {zoom: 8, x: 0.5, y: 0.5});
});

test('what shows of the photo is what the corners of the canvas are on', () => {
  const {visible} = zoomed(4, {x: 900, y: 600}, 30, 60);
  assert.deepEqual(visible.map((number) => Number(number.toFixed(6))), [222.5, 145, 297.5, 195]);
  assert.deepEqual(open(NARROW).visible, [0, 0, 60, 400]);
});
