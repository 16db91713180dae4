import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {createCrosshair} from '../../mobilesam/web/static/canvas/crosshair.js';
import {createViewport} from '../../mobilesam/web/static/core/viewport.js';

let calls, moves, isInProgress, viewport, crosshair;

beforeEach(() => {
  [calls, moves, isInProgress] = [[], [], false];
  viewport = createViewport(() => ({width: 900, height: 600, photoWidth: 900}), () => {});     // 3 CSS pixels a photo pixel
  viewport.open({width: 300, height: 200});
  crosshair = createCrosshair(viewport, {
    get isInProgress() { return isInProgress; },
    begin(at, isNegative, reach) {
      assert.equal(reach, 0);       // it takes hold of no marker
      isInProgress = true;
      calls.push(['begin', at.x, at.y, isNegative]);
    },
    move: ([at], moved) => calls.push(['move', at.x, at.y, moved]),
    end() { isInProgress = false; calls.push(['end']); },
  }, ({x, y}) => moves.push([x, y]), () => {});
});

const at = () => [crosshair.imagePoint.x, crosshair.imagePoint.y];

test('it begins in the middle, in the middle of a pixel; the first arrow only shows it', () => {
  assert.equal(crosshair.imagePoint, null);
  crosshair.step(1, 0, false);
  assert.deepEqual(at(), [150.5, 100.5]);
});

test('a step is six pixels on the screen, at least one of the photo, and eight times that with Shift', () => {
  crosshair.show();
  crosshair.step(1, 0, false);
  assert.deepEqual(at(), [152.5, 100.5]);
  crosshair.step(0, -1, true);
  assert.deepEqual(at(), [152.5, 84.5]);
  viewport.transform(13, {x: 450, y: 300}, {x: 450, y: 300});
  crosshair.step(-1, 0, false);
  assert.deepEqual(at(), [151.5, 84.5]);
});

test('it leads the preview only after an arrow key', () => {
  crosshair.show();
  crosshair.mark(false);
  assert.deepEqual(moves, []);
  crosshair.step(1, 0, false);
  crosshair.hide();
  crosshair.step(1, 0, false);
  assert.deepEqual(moves, [[152.5, 100.5], [152.5, 100.5]]);
});

test('it stays on the photo', () => {
  crosshair.show();
  for (let k = 0; k < 60; k++) { crosshair.step(1, 0, true); crosshair.step(0, -1, true); }
  assert.deepEqual(at(), [299.5, 0.5]);
});

test('it clicks where it is', () => {
  crosshair.mark(false);
  crosshair.mark(true);
  assert.deepEqual(calls, [['begin', 150.5, 100.5, false], ['end'], ['begin', 150.5, 100.5, true], ['end']]);
});

test('one corner begins a box and another one ends it', () => {
  crosshair.corner();
  crosshair.step(1, 0, true);
  crosshair.corner();
  assert.deepEqual(calls, [
    ['begin', 150.5, 100.5, false], ['move', 150.5, 100.5, true], ['move', 166.5, 100.5, true], ['end']]);
});

test('a click ends the box too, and a box that was cancelled is over', () => {
  crosshair.corner();
  crosshair.mark(false);
  assert.deepEqual(calls.at(-1), ['end']);
  crosshair.corner();
  isInProgress = false;
  calls = [];
  crosshair.step(0, 1, false);
  crosshair.corner();
  assert.deepEqual(calls.map(([name]) => name), ['begin', 'move']);
});

test('hidden it keeps its place, and begins in the middle again where that is out of sight', () => {
  crosshair.show();
  crosshair.step(1, 0, true);
  crosshair.hide();
  assert.equal(crosshair.imagePoint, null);
  crosshair.show();
  assert.deepEqual(at(), [166.5, 100.5]);
  crosshair.hide();
  viewport.transform(16, {x: 0, y: 600}, {x: 0, y: 600});
  crosshair.show();
  assert.deepEqual(at(), [9.5, 193.5]);
});

test('it is not hidden in the middle of a box', () => {
  crosshair.corner();
  crosshair.hide();
  assert.notEqual(crosshair.imagePoint, null);
});

test('zoomed in, what it moves to stays visible, with a margin', () => {
  viewport.transform(4, {x: 450, y: 300}, {x: 450, y: 300});
  crosshair.show();
  for (let k = 0; k < 8; k++) crosshair.step(1, 0, true);
  const {x, y} = viewport.toScreen(crosshair.imagePoint);
  assert.deepEqual([Math.round(x), Math.round(y)], [868, 306]);
});
