import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {createCrosshair} from '../../mobilesam/web/static/canvas/crosshair.js';

const photo = {width: 300, height: 200};
let calls, scale, isVisible, crosshair;

beforeEach(() => {
  [calls, scale, isVisible] = [[], 3, true];
  crosshair = createCrosshair({
    look: () => ({photo, scale, centre: {x: 150, y: 100}, isVisible: () => isVisible}),
    begin: (at, isNegative) => calls.push(['begin', at.x, at.y, isNegative]),
    move: (at) => calls.push(['move', at.x, at.y]),
    end() { calls.push(['end']); crosshair.release(); },
    onMove() {},
  });
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
  scale = 40;
  crosshair.step(-1, 0, false);
  assert.deepEqual(at(), [151.5, 84.5]);
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
    ['begin', 150.5, 100.5, false], ['move', 150.5, 100.5], ['move', 166.5, 100.5], ['end']]);
});

test('a click ends the box too, and a box that was cancelled is over', () => {
  crosshair.corner();
  crosshair.mark(false);
  assert.deepEqual(calls.at(-1), ['end']);
  crosshair.corner();
  crosshair.release();
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
  isVisible = false;
  crosshair.show();
  assert.deepEqual(at(), [150.5, 100.5]);
});

test('it is not hidden in the middle of a box', () => {
  crosshair.corner();
  crosshair.hide();
  assert.notEqual(crosshair.imagePoint, null);
});
