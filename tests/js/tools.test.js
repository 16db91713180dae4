import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {createMaskTool} from '../../mobilesam/web/static/canvas/mask_layer.js';
import {createPromptTool} from '../../mobilesam/web/static/canvas/tools.js';

const photo = {width: 300, height: 200};
let calls, isRemoving, tool;

beforeEach(() => {
  calls = [];
  isRemoving = false;
  tool = createPromptTool({
    onPoint: (point) => calls.push(point), onBox: (box) => calls.push(box), isRemoving: () => isRemoving,
  });
});

/** A gesture from one imagePoint to another, at a scale. */
function drag(from, to, {isNegative = false, scale = 1, moved = true, by = tool} = {}) {
  const gesture = {from, to: from, moved: false, isNegative, photo, scale};
  by.begin?.(gesture);
  by.move?.({...gesture, to, moved});
  by.end({...gesture, to, moved});
}
const click = (at, options) => drag(at, at, {moved: false, ...options});

test('a click is a point at the pixel, and the last pixel at the edge', () => {
  click({x: 90.7, y: 100.2});
  click({x: 300, y: 200});
  assert.deepEqual(calls, [{x: 90, y: 100, label: 1}, {x: 299, y: 199, label: 1}]);
});

test('with the right button or the switch a click is a negative point', () => {
  click({x: 1, y: 2}, {isNegative: true});
  isRemoving = true;
  click({x: 1, y: 2});
  assert.deepEqual(calls.map(({label}) => label), [0, 0]);
});

test('a click whose pointer trembled is where it began', () => {
  drag({x: 10.5, y: 10.5}, {x: 12.5, y: 11.5}, {moved: false});
  assert.deepEqual(calls, [{x: 10, y: 10, label: 1}]);
});

test('a drag is a box that contains the pixels at both corners', () => {
  drag({x: 150.5, y: 160.5}, {x: 30.5, y: 40.5});
  assert.deepEqual(calls, [[30, 40, 151, 161]]);
});

test('a drag thinner than four pixels on the screen is no box', () => {
  drag({x: 10, y: 10}, {x: 90, y: 13.9});
  drag({x: 10, y: 10}, {x: 11.9, y: 90}, {scale: 2});
  assert.deepEqual(calls, []);
  drag({x: 10, y: 10}, {x: 90, y: 14});
  drag({x: 10, y: 10}, {x: 12, y: 90}, {scale: 2});
  assert.deepEqual(calls, [[10, 10, 90, 14], [10, 10, 12, 90]]);
});

test('a negative drag does nothing', () => {
  drag({x: 10, y: 10}, {x: 90, y: 90}, {isNegative: true});
  assert.deepEqual(calls, []);
});

/** A layer of masks by columns of ten pixels: 1, 2, 3, and none from 30 on. */
function createFakeLayer() {
  return {
    hovered: null, toggled: [],
    idAt: ({x}) => (x < 30 ? Math.floor(x / 10) + 1 : 0),
    hover(id) { this.hovered = id ? {id} : null; },
    toggle(id) { this.toggled.push(id); },
  };
}

test('a click ticks the mask there, unless it is a drag, negative or beside all masks', () => {
  let told = 0;
  const layer = createFakeLayer(), by = createMaskTool({layer, onTick() { told++; }, onHover() {}});
  click({x: 12, y: 1}, {by});
  drag({x: 12, y: 1}, {x: 25, y: 1}, {by});
  click({x: 12, y: 1}, {by, isNegative: true});
  click({x: 50, y: 1}, {by});
  assert.deepEqual(layer.toggled, [2]);
  assert.equal(told, 1);
});

test('the mask under the pointer is highlighted, and each change is told once', () => {
  const hovered = [], layer = createFakeLayer(), by = createMaskTool({layer, onTick() {}, onHover: () => hovered.push(layer.hovered?.id ?? 0)});
  for (const x of [5, 7, 15, 16, 40]) by.hover({x, y: 0}, photo);
  by.hover({x: 25, y: 0}, photo);
  by.hover(null, photo);
  assert.deepEqual(hovered, [1, 2, 0, 3, 0]);
});
