import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {addedTo, createObjects, exportedObjects, fittingWork, formatIou, hasMask, newOnes, predictedIou} from '../../mobilesam/web/static/core/objects.js';
import {createUndoStack} from '../../mobilesam/web/static/core/undo_stack.js';
import {rleOf} from './masks.js';

const PHOTO = {width: 40, height: 20};
const LEFT = rleOf(['##..', '##..']), RIGHT = rleOf(['...#', '..##']), ALL = rleOf(['####', '####']);
const point = (x) => ({type: 'point', x, y: 0, label: 1});
const reply = (rle, predicted_iou = 0.9) => (
  {rle, coverage: 0.5, index: 0, predicted_iou, candidates: [], ms: 5});

let undoStack, objects, shown, changes, full;

beforeEach(() => {
  shown = [];
  changes = full = 0;
  undoStack = createUndoStack(() => objects.setReply(null));     // until it is answered, as the page does it
  objects = createObjects({
    undoStack, maxObjects: 5,
    onShow(one) { shown.push(one); objects.setReply(one); },
    onChange() { changes++; },
    onFull() { full++; },
  });
});

/** Clicks, and answers with a mask. */
function click(x, rle = ALL) {
  undoStack.push(point(x));
  objects.setReply(reply(rle));
}

/** Makes two objects and begins a third. */
function makeTwo() {
  click(1, LEFT);
  objects.next();
  click(2, RIGHT);
  objects.next();
}

const names = () => objects.items.map(({name}) => name);
const xs = () => undoStack.interactions.map(({x}) => x);
const idOf = (name) => objects.items.find((item) => item.name === name).id;

test('without a mask there is nothing to list, keep or export', () => {
  assert.deepEqual([objects.items, objects.drawn, objects.exported], [[], [], []]);
  assert.ok(!hasMask(objects.active));
  objects.next();
  assert.equal(changes, 0);
});

test('a mask that covers nothing is no object', () => {
  undoStack.push(point(1));
  objects.setReply({...reply(ALL), coverage: 0});
  assert.ok(!hasMask(objects.active));
  assert.deepEqual(objects.items, []);
});

test('keeping an object begins another one with interactions of its own', () => {
  click(1, LEFT);
  assert.ok(hasMask(objects.active));
  objects.next();
  assert.deepEqual(undoStack.interactions, []);
  assert.ok(!undoStack.canUndo);
  assert.deepEqual(names(), ['Object 1']);
  assert.ok(!hasMask(objects.active));
  click(2, RIGHT);
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
  assert.equal(objects.items[1], objects.active);
  assert.equal(new Set(objects.items.map(({colour}) => colour)).size, 2);
});

test('the mask of the browser in a kept object is replaced by that of the server', () => {
  undoStack.push(point(1));
  objects.setReply({...reply(LEFT, 0.5), isLocal: true});
  const answered = undoStack.interactions;
  objects.confirm(answered, reply(ALL));        // the one that is edited is not the list's affair
  objects.next();
  assert.equal(objects.items[0].reply.rle, LEFT);
  objects.confirm([point(1)], reply(ALL));      // for other interactions
  assert.equal(objects.items[0].reply.rle, LEFT);
  const before = changes;
  objects.confirm(answered, reply(ALL, 0.75));
  assert.deepEqual([objects.items[0].reply.rle, objects.items[0].reply.predicted_iou], [ALL, 0.75]);
  objects.confirm(answered, reply(RIGHT));      // the server's own stays
  assert.equal(objects.items[0].reply.rle, ALL);
  assert.equal(changes, before + 1);
});

test('the stage draws all objects but the active one, which still hides what is below it', () => {
  click(1, LEFT);
  objects.next();
  click(2, RIGHT);
  assert.deepEqual(objects.drawn.map(({rle, isShown}) => [rle, isShown]), [[LEFT, true], [RIGHT, false]]);
});

test('an object that is edited has its interactions, its undo and its mask', () => {
  makeTwo();
  objects.edit(idOf('Object 1'));
  assert.deepEqual(xs(), [1]);
  assert.equal(shown.at(-1).rle, LEFT);
  click(3, ALL);
  assert.deepEqual(xs(), [1, 3]);
  objects.edit(idOf('Object 2'));
  assert.deepEqual(xs(), [2]);
  objects.edit(idOf('Object 1'));
  undoStack.undo();
  assert.deepEqual(xs(), [1]);
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
});

test('an edited object whose mask was cleared becomes what it was when another one is edited', () => {
  makeTwo();
  objects.edit(idOf('Object 1'));
  undoStack.clear();
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
  objects.edit(idOf('Object 2'));
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
  assert.equal(objects.items[0].reply.rle, LEFT);
  objects.edit(idOf('Object 1'));
  assert.deepEqual(xs(), [1]);
});

test('a new object without a mask disappears when another one is edited', () => {
  makeTwo();
  undoStack.push({...point(9), label: 0});
  objects.edit(idOf('Object 1'));
  objects.next();
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
});

test('undo, redo and clear of one object leave the others as they are', () => {
  makeTwo();
  click(7);
  undoStack.undo();
  undoStack.redo();
  undoStack.clear();
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
  assert.deepEqual(objects.exported.map(({interactions}) => interactions), [[point(1)], [point(2)]]);
});

test('a name is trimmed and can never be empty', () => {
  makeTwo();
  objects.rename(idOf('Object 1'), '  red disc ');
  objects.rename(idOf('Object 2'), '   ');
  assert.deepEqual(names(), ['red disc', 'Object 2']);
});

test('new names and colours are free, also beside the deleted object', () => {
  makeTwo();
  const colours = objects.items.map(({colour}) => colour);
  objects.rename(idOf('Object 1'), 'Object 7');
  click(3);
  assert.deepEqual(names(), ['Object 7', 'Object 2', 'Object 3']);
  objects.remove(idOf('Object 7'));
  objects.next();
  click(4);
  assert.equal(names().at(-1), 'Object 8');
  assert.ok(!colours.includes(objects.active.colour));
});

test('a hidden object is not drawn and exported all the same; the active one cannot be hidden', () => {
  makeTwo();
  objects.toggle(idOf('Object 1'));
  assert.deepEqual(objects.drawn.map(({isShown}) => isShown), [false, true]);
  assert.equal(objects.exported.length, 2);
  objects.edit(idOf('Object 1'));
  assert.ok(objects.active.visible);
  objects.toggle(objects.active.id);
  assert.ok(objects.active.visible);
});

test('a deleted object comes back to its place', () => {
  makeTwo();
  const {item, restore} = objects.remove(idOf('Object 1'));
  assert.equal(item.name, 'Object 1');
  assert.deepEqual(names(), ['Object 2']);
  restore();
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
  assert.equal(objects.remove(12345), null);
});

test('objects that were deleted one after the other come back to their places', () => {
  makeTwo();
  const first = objects.remove(idOf('Object 1')), second = objects.remove(idOf('Object 2'));
  second.restore();
  first.restore();
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
});

test('a name and its colour can be taken back; nothing changes by the same name or an empty one', () => {
  makeTwo();
  const [{name, colour}] = objects.items, id = idOf(name);
  const undo = objects.rename(id, 'cat');
  assert.deepEqual(names(), ['cat', 'Object 2']);
  undo();
  assert.deepEqual([objects.items[0].name, objects.items[0].colour], [name, colour]);
  assert.deepEqual([objects.rename(id, ' '), objects.rename(id, name), objects.rename(12345, 'x')], [null, null, null]);
});

test('restoring a deleted object leaves the edited one as it is', () => {
  makeTwo();
  objects.edit(idOf('Object 2'));
  objects.remove(idOf('Object 1')).restore();
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
  assert.equal(objects.active.reply.rle, RIGHT);
  assert.deepEqual(xs(), [2]);
});

test('the active object can be deleted and restored with its interactions', () => {
  click(1, LEFT);
  const {restore} = objects.remove(objects.active.id);
  assert.deepEqual([names(), undoStack.interactions], [[], []]);
  click(2, RIGHT);
  assert.deepEqual(names(), ['Object 2']);
  restore();
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
  objects.edit(idOf('Object 1'));
  assert.deepEqual(xs(), [1]);
});

test('added masks are objects of full size, before the one that is not begun yet', () => {
  makeTwo();
  const undo = objects.add([{rle: LEFT, predicted_iou: 0.7}, {rle: RIGHT, predicted_iou: null, name: 'cup'}]);
  assert.deepEqual(names(), ['Object 1', 'Object 2', 'Object 4', 'cup']);
  const added = objects.items[2];
  assert.equal(added.reply.coverage, 0.5);
  assert.equal(predictedIou(added), 0.7);
  assert.deepEqual(objects.exported.slice(2), [
    {name: 'Object 4', colour: added.colour, interactions: [{type: 'mask', rle: LEFT}], clean: true, predicted_iou: 0.7},
    {name: 'cup', colour: objects.items[3].colour, interactions: [{type: 'mask', rle: RIGHT}], clean: true, predicted_iou: null}]);
  click(5);
  assert.equal(names().at(-1), 'Object 3');
  undo();
  assert.deepEqual(names(), ['Object 1', 'Object 2', 'Object 3']);
});

test('an object keeps its choice of clean-up, and the next one begins with the last choice', () => {
  click(1, LEFT);
  objects.clean = false;
  objects.next();
  click(2, RIGHT);
  assert.equal(objects.clean, false);
  objects.clean = true;
  assert.deepEqual(objects.exported.map(({clean}) => clean), [false, true]);
  objects.edit(idOf('Object 1'));
  assert.equal(objects.clean, false);
  objects.restore(objects.snapshot());
  assert.equal(objects.clean, false);
  objects.clean = true;
  undoStack.clear();             // editing that leaves no mask is taken back
  objects.edit(idOf('Object 2'));
  assert.deepEqual(objects.exported.map(({clean}) => clean), [false, true]);
});

test('taking added masks back keeps the one that is edited', () => {
  const undo = objects.add([{rle: LEFT, predicted_iou: 0.7, name: 'a'}, {rle: RIGHT, predicted_iou: 0.8, name: 'b'}]);
  objects.edit(idOf('b'));
  undo();
  assert.deepEqual(names(), ['b']);
});

test('the predicted IoU of the decoder counts before the one that came with the mask', () => {
  objects.add([{rle: LEFT, predicted_iou: 0.7, name: 'a'}]);
  objects.edit(idOf('a'));
  assert.equal(predictedIou(objects.active), 0.7);
  objects.setReply(reply(LEFT, 0.95));
  assert.equal(predictedIou(objects.active), 0.95);
  objects.setReply(reply(LEFT, null));          // after a stroke of the brush
  assert.equal(predictedIou(objects.active), 0.7);
});

test('a predicted IoU above 1 is shown as 1', () => {
  assert.deepEqual([1.034, 0.996, 0.5, -0.01].map(formatIou), ['1.00', '1.00', '0.50', '-0.01']);
});

test('there is no room for more objects than the maximum', () => {
  makeTwo();
  assert.equal(objects.add(Array(4).fill({rle: LEFT, predicted_iou: null})), null);
  assert.equal(full, 1);
  assert.ok(objects.add(Array(3).fill({rle: LEFT, predicted_iou: null})));
  assert.equal(objects.items.length, 5);
  assert.equal(full, 1);
});

test('the last object at the maximum cannot be kept', () => {
  objects.add(Array(4).fill({rle: LEFT, predicted_iou: null}));
  click(1);
  const {active} = objects;
  objects.next();
  assert.deepEqual([full, objects.active], [1, active]);
});

test('the object at a point is the uppermost visible one, and never the active one', () => {
  objects.add([{rle: ALL, predicted_iou: null, name: 'all'}, {rle: LEFT, predicted_iou: null, name: 'left'}]);
  const [all, left] = objects.items.map(({id}) => id);
  assert.equal(objects.at({x: 5, y: 5}, PHOTO).id, left);
  assert.equal(objects.at({x: 35, y: 5}, PHOTO).id, all);
  assert.equal(objects.at({x: 40, y: 20}, PHOTO).id, all);
  objects.toggle(left);
  assert.equal(objects.at({x: 5, y: 5}, PHOTO).id, all);
  objects.edit(all);
  assert.equal(objects.at({x: 5, y: 5}, PHOTO), null);
});

test('a kept object without a name gets the class of the last one, with its colour', () => {
  let last = '';
  objects = createObjects({
    undoStack, maxObjects: 5, onShow() {}, onChange() {}, onFull() {},
    classColour: (name) => (name === 'cat' ? '#123456' : null), defaultClass: () => last,
  });
  click(1, LEFT);
  objects.next();
  objects.rename(idOf('Object 1'), 'cat');
  last = 'cat';
  click(2, RIGHT);
  objects.next();
  click(3, ALL);
  objects.rename(objects.active.id, 'my own');
  objects.next();
  assert.deepEqual(objects.items.map(({name, colour}) => [name, colour === '#123456']), [['cat', true], ['cat', true], ['my own', false]]);
  objects.edit(objects.items[1].id);
  objects.rename(objects.active.id, 'Object 9');
  objects.next();
  assert.equal(objects.items[1].name, 'Object 9');    // an object that is edited keeps its name
  objects.renameClass('cat', 'lion');
  assert.deepEqual(names(), ['lion', 'Object 9', 'my own']);
});

test('another photo has no objects, no interactions and no overlap rule', () => {
  makeTwo();
  objects.exclusive = 'predicted_iou';
  objects.remove(idOf('Object 1'));
  objects.reset();
  assert.deepEqual([objects.items, undoStack.interactions, objects.exclusive], [[], [], null]);
  click(1);
  assert.deepEqual(names(), ['Object 1']);
});

test('a snapshot restores objects, the edited one and its undo, also as a copy', () => {
  makeTwo();
  objects.exclusive = 'later';
  objects.edit(idOf('Object 1'));
  click(3, ALL);
  undoStack.undo();
  objects.setReply(reply(LEFT));
  const snapshot = structuredClone(objects.snapshot());
  objects.reset();
  objects.restore(snapshot);
  assert.deepEqual([names(), xs(), objects.exclusive], [['Object 1', 'Object 2'], [1], 'later']);
  assert.equal(objects.active.name, 'Object 1');
  assert.deepEqual(shown.at(-1).rle, LEFT);
  undoStack.redo();
  assert.deepEqual(xs(), [1, 3]);
  objects.setReply(reply(ALL));
  objects.next();
  assert.equal(new Set(objects.snapshot().items.map(({id}) => id)).size, 3);
});

test('a snapshot does not change with the objects', () => {
  makeTwo();
  const snapshot = objects.snapshot();
  objects.rename(idOf('Object 1'), 'other');
  objects.restore(snapshot);
  assert.deepEqual(names(), ['Object 1', 'Object 2']);
});

test('objects that are there already are not added again, and others are, with the colours of their classes', () => {
  const given = [{name: 'cat', rle: LEFT, predicted_iou: 0.5}, {name: 'dog', rle: RIGHT, predicted_iou: null}];
  const options = {maxObjects: 3, classColour: (name) => (name === 'cat' ? '#123456' : null)};
  assert.deepEqual(newOnes(null, given), given);
  const work = addedTo(null, given, options);
  assert.deepEqual(exportedObjects(work).map(({name, interactions}) => [name, interactions[0].rle]), [['cat', LEFT], ['dog', RIGHT]]);
  assert.equal(exportedObjects(work)[0].colour, '#123456');
  assert.deepEqual(newOnes(work, given), []);
  assert.deepEqual(newOnes(work, [{...given[0], name: 'lion'}]).length, 1);
  const more = addedTo(work, [{name: 'x', rle: ALL, predicted_iou: null}], options);
  assert.deepEqual(exportedObjects(more).map(({name}) => name), ['cat', 'dog', 'x']);
  assert.equal(addedTo(more, [{name: 'y', rle: ALL, predicted_iou: null}], options), null);
  makeTwo();
  const clicked = addedTo(objects.snapshot(), [given[0]], options);
  assert.deepEqual(exportedObjects(clicked).map(({name}) => name), ['Object 1', 'Object 2', 'cat']);
});

test('objects that were exported from the work are not new, though their masks have another size', () => {
  const shown = rleOf(['##..', '##..']), exact = rleOf(['####....', '####....', '####....', '####....']);
  click(1, shown);
  objects.rename(objects.active.id, 'cat');
  objects.setReply({...reply(shown), coverage: 0.5});
  const given = [{name: 'cat', rle: exact, predicted_iou: null}, {name: 'dog', rle: exact, predicted_iou: null},
    {name: 'cat', rle: rleOf(['....####', '....####', '....####', '....####']), predicted_iou: null}];
  assert.deepEqual(newOnes(objects.snapshot(), given), given.slice(1));
});

test('loaded masks for a photo of another size are left out', () => {
  const options = {maxObjects: 5, classColour: () => null};
  const work = addedTo(null, [{name: 'a', rle: LEFT, predicted_iou: null}, {name: 'b', rle: rleOf(['#']), predicted_iou: null}], options);
  const fitting = fittingWork(work, {width: 4, height: 2});
  assert.equal(fitting.left, 1);
  assert.deepEqual(exportedObjects(fitting.work).map(({name}) => name), ['a']);
});
