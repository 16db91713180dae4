import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {listenToMoves} from '../../mobilesam/web/static/canvas/moves.js';

class View extends EventTarget {
  setPointerCapture() {}
  getBoundingClientRect() { return {left: 0, top: 0}; }
}
const TOUCH = {pointerType: 'touch', pointerId: 1, isPrimary: true}, SECOND = {...TOUCH, pointerId: 2, isPrimary: false};
const PEN = {...TOUCH, pointerType: 'pen', pointerId: 7};
let view, moves;

beforeEach(() => {
  [view, moves] = [new View(), []];
  listenToMoves(view, () => true, (change) => moves.push(change));
});

function send(type, x, pointer) {
  const event = new Event(type, {cancelable: true});
  for (const [name, value] of Object.entries({clientX: x, clientY: 0, button: 0, ...pointer})) {
    Object.defineProperty(event, name, {value});
  }
  view.dispatchEvent(event);
}

test('one finger moves, two scale', () => {
  send('pointerdown', 10, TOUCH);
  send('pointermove', 15, TOUCH);
  send('pointerdown', 35, SECOND);
  send('pointermove', 55, SECOND);
  assert.deepEqual(moves, [{x: 5, y: 0, factor: 1, isFirst: true}, {x: 10, y: 0, factor: 2, isFirst: false}]);
});

test('a hand that touches while the pen moves something does not scale it', () => {
  send('pointerdown', 10, PEN);
  send('pointerdown', 90, TOUCH);
  send('pointermove', 15, PEN);
  send('pointermove', 95, TOUCH);
  assert.deepEqual(moves, [{x: 5, y: 0, factor: 1, isFirst: true}]);
});

test('the pen takes over from a hand that came first', () => {
  send('pointerdown', 90, TOUCH);
  send('pointerdown', 10, PEN);
  send('pointermove', 95, TOUCH);
  send('pointermove', 15, PEN);
  assert.deepEqual(moves, [{x: 5, y: 0, factor: 1, isFirst: true}]);
});
