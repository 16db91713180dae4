import assert from 'node:assert/strict';
import {test} from 'node:test';

import {createMaskLayer} from '../../mobilesam/web/static/canvas/mask_layer.js';
import {discRle, rleOf} from './masks.js';

// Canvases that count what is painted on them.
let paintings = 0, painted = new Uint32Array(0);
globalThis.document = {createElement: () => ({getContext: () => ({putImageData() { paintings++; }})})};
globalThis.ImageData = class {
  constructor({buffer}) { painted = new Uint32Array(buffer); }
};

const PHOTO = {width: 4, height: 3};
const generated = (id, rows, predicted_iou = 0.9) => (
  {id, rle: rleOf(rows), area: rows.join('').replaceAll('.', '').length, predicted_iou});
const ALL = generated(1, ['####', '####', '####']);
const LEFT = generated(2, ['##..', '##..', '....']);
const SPECK = generated(3, ['....', '.#..', '....']);

function topOf(layer) {
  return Array.from({length: 3}, (_, y) => Array.from({length: 4}, (_, x) => layer.idAt({x, y}, PHOTO)).join(''));
}

test('the smallest mask is on top, in whatever order the masks come', () => {
  for (const order of [[ALL, LEFT, SPECK], [SPECK, ALL, LEFT], [LEFT, SPECK, ALL]]) {
    const layer = createMaskLayer(1024);
    layer.update([1, 2, 3], order);
    assert.deepEqual(topOf(layer), ['2211', '2311', '1111']);
  }
});

test('masks that come later are stacked with the earlier ones', () => {
  const layer = createMaskLayer(1024);
  layer.update([3], [SPECK]);
  layer.update([3, 4], [{...ALL, id: 4}]);
  assert.deepEqual(topOf(layer), ['4444', '4344', '4444']);
  assert.deepEqual(layer.masks.map(({id}) => id), [3, 4]);
});

test('masks that are no longer listed disappear', () => {
  const layer = createMaskLayer(1024);
  layer.update([1, 2, 3], [ALL, LEFT, SPECK]);
  layer.update([1, 3], []);
  assert.deepEqual(topOf(layer), ['1111', '1311', '1111']);
  assert.deepEqual(layer.masks, [ALL, SPECK]);
  layer.update([], []);
  assert.deepEqual(layer.masks, []);
  assert.equal(layer.idAt({x: 1.5, y: 1.5}, PHOTO), 0);
});

test('the same list again paints nothing', () => {
  const layer = createMaskLayer(1024);
  layer.update([1, 2], [ALL, LEFT]);
  paintings = 0;
  layer.update([1, 2], []);
  assert.equal(paintings, 0);
  layer.update([1], []);
  assert.equal(paintings, 1);
});

test('a highlighted mask that disappears is highlighted no longer', () => {
  const layer = createMaskLayer(1024);
  layer.update([1, 2], [ALL, LEFT]);
  layer.hover(2);
  layer.update([1, 2], []);
  assert.equal(layer.hovered, LEFT);
  layer.update([1], []);
  assert.equal(layer.hovered, null);
});

test('an id that was never sent is left out', () => {
  const layer = createMaskLayer(1024);
  layer.update([2, 7], [LEFT]);
  assert.deepEqual(layer.masks, [LEFT]);
});

test('the mask at a point of the photo is the one that shows there, and none outside', () => {
  const layer = createMaskLayer(1024), photo = {width: 400, height: 300};      // shown at another size
  layer.update([2, 3], [LEFT, SPECK]);
  assert.equal(layer.idAt({x: 150, y: 150}, photo), 3);
  assert.equal(layer.idAt({x: 50, y: 199}, photo), 2);
  assert.equal(layer.idAt({x: 250, y: 50}, photo), 0);
  for (const [x, y] of [[-1, 50], [400, 50], [50, -1], [50, 300]]) assert.equal(layer.idAt({x, y}, photo), 0);
  assert.equal(createMaskLayer(1024).idAt({x: 1, y: 1}, photo), 0);
});

test('masks of full size are shown at display size and stay as they came', () => {
  const {rle, area} = discRle(3000, 4000, 3000, 1000, 700), mask = {id: 9, rle, area, predicted_iou: 0.8};
  const layer = createMaskLayer(1024), photo = {width: 4000, height: 3000};
  layer.update([9], [mask]);
  assert.equal(layer.idAt({x: 3000, y: 1000}, photo), 9);
  assert.equal(layer.idAt({x: 2200, y: 1000}, photo), 0);
  assert.equal(layer.idAt({x: 3699, y: 1001}, photo), 9);
  assert.equal(layer.masks[0], mask);
});

test('a mask is ticked and unticked, and all at once', () => {
  const layer = createMaskLayer(1024);
  layer.update([1, 2, 3], [ALL, LEFT, SPECK]);
  layer.toggle(3);
  layer.toggle(1);
  assert.deepEqual(layer.ticked, [ALL, SPECK]);
  layer.toggle(3);
  assert.deepEqual(layer.ticked, [ALL]);
  layer.untick();
  assert.deepEqual(layer.ticked, []);
});

test('a tick goes over to the better mask of the same region, or goes with its mask', () => {
  const layer = createMaskLayer(1024), better = generated(4, ['##..', '#...', '....']), other = generated(5, ['...#', '...#', '....']);
  layer.update([2], [LEFT]);
  layer.toggle(2);
  layer.update([4, 5], [other, better]);
  assert.deepEqual(layer.ticked, [better]);             // they share 3 of 4 pixels
  layer.update([5], []);
  assert.deepEqual(layer.ticked, []);
  layer.update([5, 2], [LEFT]);
  assert.deepEqual(layer.ticked, []);
});

/** Where check marks are drawn while the photo is shown at this size from (100, 10) on. */
function checksOf(layer, width, height) {
  const discs = [];
  const context = new Proxy({arc: (x, y) => discs.push([x, y])}, {get: (own, name) => own[name] ?? (() => {}), set: () => true});
  layer.draw(context, {x: 100, y: 10}, {x: 100 + width, y: 10 + height});
  return discs;
}

test('a check mark is in the middle of the longest column of a ticked mask that shows', () => {
  const layer = createMaskLayer(1024);
  layer.update([1, 2], [ALL, LEFT]);
  assert.deepEqual(checksOf(layer, 40, 30), []);
  layer.toggle(1);
  layer.toggle(2);
  assert.deepEqual(checksOf(layer, 40, 30), [[105, 20], [125, 25]]);    // columns 0 and 2; LEFT covers two of the first
  layer.untick();
  assert.deepEqual(checksOf(layer, 40, 30), []);
});

test('masks that were kept as objects are known, whatever the size of the mask of the object', () => {
  const layer = createMaskLayer(1024), kept = (...rles) => layer.setObjects(rles.map((rle, k) => ({id: 11 + k, rle, isKept: true})));
  kept(LEFT.rle);               // before any mask came
  layer.update([1, 2], [ALL, LEFT]);
  layer.update([1, 2, 3], [SPECK]);
  assert.deepEqual([layer.others, [1, 2, 3].map(layer.keptAs)], [[ALL, SPECK], [0, 11, 0]]);
  const doubled = rleOf(['####....', '####....', '####....', '####....', '........', '........']);       // LEFT
  kept(SPECK.rle, doubled);
  assert.deepEqual([layer.others, [1, 2, 3].map(layer.keptAs)], [[ALL], [0, 12, 11]]);
  kept();
  assert.deepEqual([layer.others, [1, 2, 3, 0].map(layer.keptAs)], [[ALL, LEFT, SPECK], [0, 0, 0, 0]]);
});

test('an object that is not kept yet is known, and its mask can be ticked', () => {
  const layer = createMaskLayer(1024);
  layer.update([1, 2], [ALL, LEFT]);
  layer.toggle(2);
  layer.setObjects([{id: 11, rle: LEFT.rle, isKept: false}]);
  assert.deepEqual([layer.others, layer.ticked, layer.keptAs(2)], [[ALL], [LEFT], 0]);
});

test('an object whose mask was corrected is another one', () => {
  const whole = generated(1, Array(10).fill('#'.repeat(10))), layer = createMaskLayer(1024);
  layer.update([1], [whole]);
  const without = (count) => rleOf([...Array(9).fill('#'.repeat(10)), '#'.repeat(10 - count).padEnd(10, '.')]);
  layer.setObjects([{id: 11, rle: without(4), isKept: true}]);        // 0.96
  assert.deepEqual(layer.others, []);
  layer.setObjects([{id: 11, rle: without(5), isKept: true}]);        // 0.95
  assert.deepEqual(layer.others, [whole]);
});

test('a ticked mask that becomes an object is ticked no longer', () => {
  const layer = createMaskLayer(1024);
  layer.update([1, 2], [ALL, LEFT]);
  layer.toggle(1);
  layer.toggle(2);
  layer.setObjects([{id: 11, rle: LEFT.rle, isKept: true}]);
  assert.deepEqual(layer.ticked, [ALL]);
});

test('kept objects are hatched, also where no mask is, and nothing else is', () => {
  const layer = createMaskLayer(1024), rows = (left, right) => Array(60).fill(left.repeat(30) + right.repeat(30));
  layer.update([1], [generated(1, rows('#', '.'))]);
  const hatched = () => [0, 1].map((half) => {
    const columns = Array.from({length: 30}, (_, x) => x + 30 * half);
    return columns.some((x) => painted[30 * 60 + x] === 0xa0ffffff) && columns.some((x) => painted[30 * 60 + x] !== 0xa0ffffff);
  });
  assert.deepEqual(hatched(), [false, false]);
  layer.setObjects([{id: 11, rle: rleOf(rows('.', '#')), isKept: true}]);
  assert.deepEqual(hatched(), [false, true]);
  layer.setObjects([{id: 11, rle: rleOf(rows('#', '.')), isKept: true}]);
  assert.deepEqual(hatched(), [true, false]);
});
