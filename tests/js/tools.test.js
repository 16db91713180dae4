import assert from 'node:assert/strict';
import {beforeEach, mock, test} from 'node:test';

import {createMaskTool} from '../../mobilesam/web/static/canvas/mask_layer.js';
import {createPromptTool} from '../../mobilesam/web/static/canvas/tools.js';

const photo = {width: 300, height: 200};
const POINT = {type: 'point', x: 50, y: 60, label: 1}, BOX = {type: 'box', box: [100, 40, 200, 140]};
let calls, isRemoving, tool, interactions, afterClick, object, dragged, replaced, drawn;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({apis: ['Date'], now: 1000});
  [calls, isRemoving, interactions, afterClick, object, dragged, replaced, drawn] = [[], false, [], null, null, [], [], []];
  tool = createPromptTool({
    onPoint(point) { calls.push(point); interactions = afterClick ?? interactions; },
    onBox: (box) => calls.push(box), onDraw: (box) => drawn.push(box), isRemoving: () => isRemoving,
    interactions: () => interactions, objectAt: () => object, onSelect: ({id}) => calls.push({id}),
    onDrag: (next) => dragged.push(next), onReplace: (next) => replaced.push(next), onHover() {},
  });
});

/** A gesture from one imagePoint to another, at a scale. */
function drag(from, to, {isNegative = false, scale = 1, moved = true, reach = 10, by = tool} = {}) {
  const gesture = {from, to: from, moved: false, isNegative, photo, scale, reach};
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
  click({x: 51, y: 2});
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

test('a box that is being drawn is told until the drag ends or is given up; a thin one and a click are none', () => {
  drag({x: 30.5, y: 40.5}, {x: 150.5, y: 160.5});
  drag({x: 10, y: 10}, {x: 90, y: 12});
  assert.deepEqual(drawn, [[30, 40, 151, 161], null, null, null]);
  click({x: 5, y: 5});
  tool.cancel();
  assert.equal(drawn.length, 5);
  interactions = [POINT];
  drag({x: 50.5, y: 60.5}, {x: 90.5, y: 60.5});         // the marker, not a box
  assert.equal(drawn.length, 5);
});

test('a negative drag does nothing', () => {
  drag({x: 10, y: 10}, {x: 90, y: 90}, {isNegative: true});
  assert.deepEqual(calls, []);
  assert.deepEqual(drawn, [null, null]);
});

test('the second click of a double click does nothing, a click after it does', () => {
  click({x: 90.2, y: 100}, {scale: 2});
  mock.timers.tick(399);
  click({x: 93.2, y: 101}, {scale: 2});
  assert.deepEqual(calls, [{x: 90, y: 100, label: 1}]);
  click({x: 98.2, y: 100}, {scale: 2});        // quick, but elsewhere
  mock.timers.tick(400);
  click({x: 98.2, y: 100}, {scale: 2});
  assert.equal(calls.length, 3);
});

test('after an undo a quick click at the same place counts', () => {
  afterClick = [POINT];
  click({x: 50, y: 60});
  interactions = [];
  click({x: 50, y: 60});
  assert.equal(calls.length, 2);
});

test('a quick click with the other button is no repetition', () => {
  click({x: 90, y: 100});
  click({x: 90, y: 100}, {isNegative: true});
  assert.deepEqual(calls.map(({label}) => label), [1, 0]);
});

// ---- markers -------------------------------------------------------------------------------

test('a drag from a marker moves it by the way of the pointer, and is dropped once', () => {
  interactions = [POINT, BOX];
  drag({x: 53, y: 61}, {x: 83, y: 71});
  const moved = [{...POINT, x: 80, y: 70}, BOX];
  assert.deepEqual([dragged, replaced, calls], [[moved], [moved], []]);
  assert.equal(replaced[0], dragged[0]);       // whose mask may be there already
});

test('each new position is told once, and none before the pointer has really moved', () => {
  interactions = [POINT];
  const gesture = {from: {x: 50.5, y: 60.5}, moved: false, isNegative: false, photo, scale: 1, reach: 10};
  tool.begin(gesture);
  tool.move({...gesture, to: {x: 53, y: 60}});
  for (const x of [60, 60.2, 70]) tool.move({...gesture, to: {x, y: 60.5}, moved: true});
  assert.deepEqual(dragged.map(([{x}]) => x), [60, 70]);
  assert.deepEqual(tool.marker, {index: 0, sides: null});
});

test('a drag that is cancelled puts the marker back', () => {
  interactions = [POINT];
  const gesture = {from: {x: 50, y: 60}, to: {x: 90, y: 60}, moved: true, isNegative: false, photo, scale: 1, reach: 10};
  tool.begin(gesture);
  tool.cancel();
  assert.deepEqual(dragged, []);
  tool.begin(gesture);
  tool.move(gesture);
  tool.cancel();
  assert.equal(dragged.at(-1), interactions);
  assert.deepEqual([replaced, tool.marker], [[], null]);
});

test('a marker that is dragged back to its place changes nothing', () => {
  interactions = [POINT];
  const gesture = {from: {x: 50, y: 60}, to: {x: 90, y: 60}, moved: true, isNegative: false, photo, scale: 1, reach: 10};
  tool.begin(gesture);
  tool.move(gesture);
  tool.move({...gesture, to: gesture.from});
  tool.end({...gesture, to: gesture.from});
  assert.equal(dragged.at(-1), interactions);
  assert.deepEqual([replaced, calls], [[], []]);
});

test('an undo during a drag ends it, and its end is no box', () => {
  interactions = [POINT];
  const gesture = {from: {x: 50, y: 60}, to: {x: 90, y: 90}, moved: true, isNegative: false, photo, scale: 1, reach: 10};
  tool.begin(gesture);
  tool.move(gesture);
  interactions = [];
  tool.move({...gesture, to: {x: 95, y: 95}});
  tool.end(gesture);
  assert.deepEqual([dragged.length, replaced, calls], [1, [], []]);
});

for (const isNegative of [false, true]) {
  test(`a click on a point removes it${isNegative ? ', also with the right button' : ''}`, () => {
    interactions = [POINT, {...POINT, x: 150, label: 0}];
    click({x: 145, y: 60}, {isNegative});
    assert.deepEqual([replaced, calls], [[[POINT]], []]);
  });
}

test('a click on the box or its handle is a point', () => {
  interactions = [BOX];
  click({x: 100, y: 40});
  click({x: 101, y: 90});
  assert.deepEqual(calls, [{x: 100, y: 40, label: 1}, {x: 101, y: 90, label: 1}]);
  assert.deepEqual(replaced, []);
});

test('the keyboard takes hold of no marker', () => {
  interactions = [POINT];
  drag({x: 50, y: 60}, {x: 90, y: 90}, {reach: 0});
  click({x: 50, y: 60}, {reach: 0});
  assert.deepEqual(calls, [[50, 60, 90, 90], {x: 50, y: 60, label: 1}]);
});

test('a finger reaches farther than a mouse', () => {
  interactions = [POINT];
  drag({x: 70, y: 60.5}, {x: 90, y: 60.5}, {reach: 22});
  assert.equal(replaced[0][0].x, 70);
  drag({x: 70, y: 60.5}, {x: 90, y: 90}, {reach: 10});
  assert.deepEqual(calls, [[70, 60, 90, 90]]);
});

test('the cursor and a sentence tell what a press would do', () => {
  interactions = [POINT, BOX];
  const {cursor, title} = tool.hover({x: 50, y: 60}, photo, 1);
  assert.equal(cursor, 'move');
  assert.match(title, /click to remove/);
  assert.deepEqual(tool.marker, {index: 0, sides: null});
  assert.equal(tool.hover({x: 200, y: 140}, photo, 1).cursor, 'nwse-resize');
  assert.equal(tool.hover({x: 150, y: 90}, photo, 1), null);
  object = {id: 7, name: 'cup'};
  assert.deepEqual(tool.hover({x: 150, y: 90}, photo, 1), {cursor: 'pointer', title: 'Edit “cup”'});
  isRemoving = true;
  assert.equal(tool.hover({x: 150, y: 90}, photo, 1), null);
  assert.equal(tool.hover(null, photo, 1), null);
  assert.equal(tool.marker, null);
});

test('the point that was just clicked does not offer its removal yet', () => {
  afterClick = [POINT];
  click({x: 50, y: 60});
  assert.equal(tool.hover({x: 51, y: 60}, photo, 1), null);
  assert.equal(tool.marker, null);
  mock.timers.tick(400);
  assert.equal(tool.marker, null);      // before the pointer moves
  tool.hover({x: 52, y: 60}, photo, 1);
  assert.deepEqual(tool.marker, {index: 0, sides: null});
  interactions = [...interactions];
  assert.equal(tool.marker, null);
});

test('a plain click on another object selects it, a negative one or a drag does not', () => {
  object = {id: 7, name: 'cup'};
  click({x: 10, y: 10});
  click({x: 50, y: 10}, {isNegative: true});
  drag({x: 10, y: 10}, {x: 90, y: 90});
  isRemoving = true;
  click({x: 90, y: 10});
  assert.deepEqual(calls, [{id: 7}, {x: 50, y: 10, label: 0}, [10, 10, 90, 90], {x: 90, y: 10, label: 0}]);
});

// ---- generated masks -----------------------------------------------------------------------

/** A layer of masks by columns of ten pixels: 1, 2, 3, and none from 30 on. */
function createFakeLayer() {
  return {
    hovered: null, toggled: [],
    idAt: ({x}) => (x < 30 ? Math.floor(x / 10) + 1 : 0),
    keptAs: (id) => (id === 3 ? 11 : 0),
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

test('a click on a mask that was kept shows its object instead', () => {
  const shown = [], layer = createFakeLayer(), by = createMaskTool({layer, onHover() {}, onKept: (object) => shown.push(object)});
  click({x: 25, y: 1}, {by});
  click({x: 25, y: 1}, {by, isNegative: true});
  assert.deepEqual([layer.toggled, shown], [[], [11]]);
});

test('the mask under the pointer is highlighted, and each change is told once', () => {
  const hovered = [], layer = createFakeLayer(), by = createMaskTool({layer, onTick() {}, onHover: () => hovered.push(layer.hovered?.id ?? 0)});
  for (const x of [5, 7, 15, 16, 40]) by.hover({x, y: 0}, photo);
  by.hover({x: 25, y: 0}, photo);
  by.hover(null, photo);
  assert.deepEqual(hovered, [1, 2, 0, 3, 0]);
});
