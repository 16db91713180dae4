/* global document, window */
import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {listenToGestures} from '../../mobilesam/web/static/canvas/gestures.js';

// Events are dispatched to targets without a document; `document` and `window` are stand-ins.
class Canvas extends EventTarget {
  dataset = {};
  focus() { document.activeElement = this; }
  setPointerCapture() {}
  getBoundingClientRect() { return {left: 100, top: canvasTop}; }
  matches() { return isHovered; }
}

let calls, canvas, zoom, canvasTop, time, isHovered;

beforeEach(() => {
  [calls, zoom, canvasTop, time, isHovered] = [[], 1, 50, 1000, true];
  globalThis.window = new EventTarget();
  window.top = window;
  globalThis.document = Object.assign(new EventTarget(), {scrollingElement: {scrollTop: 0}, activeElement: null});
  canvas = new Canvas();
  const record = (name) => (...args) => { calls.push([name, ...args]); };
  const viewport = {
    isReady: true, get view() { return {zoom}; },
    transform: record('transform'), toImage: ({x, y}) => ({x: x / 2, y: y / 2}),
  };
  const gestures = {begin: record('begin'), move: record('move'), end: record('end'), cancel: record('cancel')};
  listenToGestures(canvas, viewport, gestures, {onPointer: record('pointer'), onLeave: record('leave')});
});

/** Dispatches an event at a screenPoint; whether its default was prevented. */
function send(type, x = 0, y = 0, options = {}, target = canvas) {
  const event = new Event(type, {cancelable: true});
  const values = {clientX: x + 100, clientY: y + canvasTop, button: 0, pointerId: 1, isPrimary: true, pointerType: 'mouse',
    shiftKey: false, altKey: false, ...options};
  for (const [name, value] of Object.entries(values)) Object.defineProperty(event, name, {value});
  target.dispatchEvent(event);
  return event.defaultPrevented;
}
const names = () => calls.map(([name]) => name);
const lastMoved = () => calls.filter(([name]) => name === 'move').at(-1)[2];

test('a press and a release are a gesture that has not moved', () => {
  send('pointerdown', 10, 20);
  send('pointerup', 10, 20);
  assert.deepEqual(calls.slice(2), [
    ['begin', {x: 5, y: 10}, false, 10], ['move', [{x: 5, y: 10}], false], ['end'], ['pointer', {x: 10, y: 20}]]);
});

for (const [pointerType, slop] of [['mouse', 4], ['pen', 6], ['touch', 12], ['unknown', 4]]) {
  test(`a ${pointerType} has moved beyond ${slop} pixels, and stays moved when it returns`, () => {
    send('pointerdown', 50, 50, {pointerType});
    send('pointermove', 50 + slop, 50, {pointerType});
    assert.equal(lastMoved(), false);
    send('pointermove', 50 + slop, 52, {pointerType});
    assert.equal(lastMoved(), true);
    send('pointerup', 50, 50, {pointerType});
    assert.equal(lastMoved(), true);
  });
}

for (const options of [{button: 2}, {shiftKey: true}, {altKey: true}]) {
  test(`a gesture is negative with ${JSON.stringify(options)}`, () => {
    send('pointerdown', 5, 5, options);
    assert.deepEqual(calls.at(-1), ['begin', {x: 2.5, y: 2.5}, true, 10]);
  });
}

test('a finger takes hold of markers farther away than a mouse', () => {
  for (const [pointerType, reach] of [['mouse', 10], ['touch', 22], ['unknown', 10]]) {
    send('pointerdown', 5, 5, {pointerType});
    assert.deepEqual(calls.at(-1), ['begin', {x: 2.5, y: 2.5}, false, reach]);
  }
});

test('all samples between two frames are passed on', () => {
  send('pointerdown', 0, 0);
  const getCoalescedEvents = () => [{clientX: 103, clientY: 50}, {clientX: 106, clientY: 51}];
  send('pointermove', 6, 1, {getCoalescedEvents});
  assert.deepEqual(calls.at(-1), ['move', [{x: 1.5, y: 0}, {x: 3, y: 0.5}], true]);
});

test('the middle button moves the photo and makes no gesture', () => {
  send('pointerdown', 50, 50, {button: 1});
  assert.equal(canvas.dataset.grab, 'yes');
  send('pointermove', 80, 40);
  const [name, factor, from, to, start] = calls.at(-1);
  assert.deepEqual([name, factor, from.x, to.x, start], ['transform', 1, 50, 80, {zoom: 1}]);
  send('pointerup', 80, 40);
  assert.ok(!names().includes('begin') && !names().includes('end'));
  assert.equal(canvas.dataset.grab, 'no');
});

test('a second finger cancels the gesture and scales by the distance of both', () => {
  send('pointerdown', 100, 100, {pointerType: 'touch'});
  send('pointerdown', 200, 100, {pointerType: 'touch', pointerId: 2, isPrimary: false});
  assert.deepEqual(names().slice(-2), ['begin', 'cancel']);
  send('pointerdown', 1, 1, {pointerType: 'touch', pointerId: 3, isPrimary: false});       // ignored
  send('pointermove', 300, 100, {pointerType: 'touch', pointerId: 2, isPrimary: false});
  const [name, factor, from, to] = calls.at(-1);
  assert.deepEqual([name, factor, from.x, to.x], ['transform', 2, 150, 200]);
  send('pointerup', 300, 100, {pointerType: 'touch', pointerId: 2, isPrimary: false});
  send('pointermove', 110, 100, {pointerType: 'touch'});        // the other finger goes on moving
  assert.deepEqual(calls.at(-1).slice(0, 2), ['transform', 1]);
  assert.deepEqual([calls.at(-1)[2].x, calls.at(-1)[3].x], [100, 110]);
  send('pointerup', 100, 100, {pointerType: 'touch'});
  assert.ok(!names().includes('end'));
});

test('a gesture that the browser takes over is cancelled', () => {
  send('pointerdown', 5, 5);
  send('pointercancel', 5, 5);
  assert.deepEqual(names().slice(-2), ['begin', 'cancel']);
});

test('a mouse hovers, a finger does not', () => {
  send('pointermove', 7, 8);
  assert.deepEqual(calls, [['pointer', {x: 7, y: 8}]]);
  send('pointerdown', 7, 8, {pointerType: 'touch'});
  assert.deepEqual(calls[2], ['pointer', null]);
  send('pointermove', 9, 9, {pointerType: 'touch', pointerId: 2});
  assert.equal(calls.at(-1)[0], 'begin');
  send('pointerleave');
  assert.deepEqual(calls.at(-1), ['leave']);
});

// ---- pens ----------------------------------------------------------------------------------

const PEN = {pointerType: 'pen', pointerId: 7}, PALM = {pointerType: 'touch', pointerId: 8}, PALM2 = {...PALM, pointerId: 9, isPrimary: false};

test('a hand that touches while the pen draws changes nothing', () => {
  send('pointerdown', 50, 50, PEN);
  send('pointerdown', 150, 90, PALM);
  send('pointerdown', 160, 90, PALM2);
  send('pointermove', 155, 95, PALM);
  send('pointerup', 155, 95, PALM);
  send('pointerleave', 155, 95, PALM);
  send('pointermove', 80, 50, PEN);
  send('pointerup', 80, 50, PEN);
  assert.deepEqual(names(), ['cancel', 'pointer', 'begin', 'move', 'move', 'end', 'pointer']);
  assert.deepEqual(calls.at(-3), ['move', [{x: 40, y: 25}], true]);
});

test('a hand is ignored shortly after the pen was lifted and while it hovers, a finger later is not', () => {
  send('pointerdown', 50, 50, {...PEN, timeStamp: 1000});
  send('pointerup', 50, 50, {...PEN, timeStamp: 1100});
  calls = [];
  send('pointerdown', 90, 90, {...PALM, timeStamp: 1500});
  send('pointerup', 90, 90, {...PALM, timeStamp: 1550});
  send('pointermove', 60, 60, {...PEN, timeStamp: 1600});
  send('pointerdown', 90, 90, {...PALM, timeStamp: 2000});
  assert.deepEqual(names(), ['pointer']);
  send('pointerdown', 90, 90, {...PALM, timeStamp: 2200});
  send('pointerup', 90, 90, {...PALM, timeStamp: 2300});
  assert.deepEqual(names().slice(-3), ['begin', 'move', 'end']);
});

test('a long stroke of the pen holds off the hand until its end', () => {
  send('pointerdown', 50, 50, {...PEN, timeStamp: 1000});
  calls = [];
  send('pointerdown', 90, 90, {...PALM, timeStamp: 9000});
  assert.deepEqual(calls, []);
});

test('the pen takes over from a hand that came first, whose end is no click', () => {
  send('pointerdown', 150, 90, PALM);
  send('pointermove', 190, 90, PALM);
  send('pointerdown', 50, 50, PEN);
  assert.deepEqual(names().slice(-3), ['cancel', 'pointer', 'begin']);
  send('pointermove', 195, 95, PALM);
  send('pointerup', 195, 95, PALM);
  assert.equal(names().at(-1), 'begin');
  send('pointerup', 50, 50, PEN);
  assert.equal(names().filter((name) => name === 'end').length, 1);
});

test('a hand that came before the pen hovers makes no click', () => {
  send('pointerdown', 150, 90, PALM);
  send('pointermove', 50, 50, PEN);
  send('pointerup', 150, 90, PALM);
  assert.ok(!names().includes('end'));
  assert.deepEqual(calls.at(-1), ['cancel']);
});

for (const [what, options, isNegative] of [
  ['the eraser', {button: 5, buttons: 32}, true], ['the button', {button: 2, buttons: 2}, true],
  ['the button held before', {button: 0, buttons: 3}, true], ['the tip', {button: 0, buttons: 1}, false],
]) {
  test(`${what} of a pen ${isNegative ? 'excludes' : 'includes'}`, () => {
    send('pointerdown', 50, 50, {...PEN, ...options});
    assert.deepEqual(calls.at(-1).slice(0, 3), ['begin', {x: 25, y: 25}, isNegative]);
  });
}

test('the left button of a mouse includes while the right one is held', () => {
  send('pointerdown', 50, 50, {button: 0, buttons: 3});
  assert.equal(calls.at(-1)[2], false);
});

// ---- Space ---------------------------------------------------------------------------------

const key = (type, name, target = canvas) => {
  const event = new Event(type, {cancelable: true});
  Object.defineProperties(event, {key: {value: name}, target: {value: target}});
  document.dispatchEvent(event);
  return event.defaultPrevented;
};

test('with Space held the left button moves the photo', () => {
  assert.ok(key('keydown', ' '));
  assert.equal(canvas.dataset.grab, 'ready');
  send('pointerdown', 5, 5);
  assert.equal(canvas.dataset.grab, 'yes');
  send('pointerup', 5, 5);
  assert.ok(!names().includes('begin'));
  assert.ok(key('keyup', ' '));
  send('pointerdown', 5, 5);
  assert.equal(names().at(-1), 'begin');
});

test('Space belongs to the photo after a click on a button, and to the button after Tab', () => {
  const button = {matches: () => false}, input = {matches: () => true};
  assert.ok(!key('keydown', ' ', input));
  assert.ok(key('keydown', ' ', button));
  key('keyup', ' ', button);
  key('keydown', 'Tab', button);
  assert.ok(!key('keydown', ' ', button));
  send('pointerdown', 0, 0, {}, document);
  assert.ok(key('keydown', ' ', button));
  window.dispatchEvent(new Event('blur'));
  assert.equal(canvas.dataset.grab, 'no');
});

test('Space belongs to a button while the pointer is elsewhere', () => {
  isHovered = false;
  assert.ok(!key('keydown', ' ', {matches: () => false}));
  assert.ok(key('keydown', ' '));       // the photo has the focus
});

// ---- the wheel -----------------------------------------------------------------------------

/** Rolls the wheel over the canvas, or beside it; whether the page was kept from scrolling. */
function roll(deltaY, {pause = 0, beside = false, ...options} = {}) {
  time += pause + 20;
  const target = beside ? {} : canvas;
  const values = {deltaX: 0, deltaY, deltaMode: 0, timeStamp: time, ctrlKey: false, ...options};
  const event = new Event('wheel', {cancelable: true});
  const define = (one) => { for (const [name, value] of Object.entries(values)) Object.defineProperty(one, name, {value}); };
  define(event);
  Object.defineProperties(event, {target: {value: target}, clientX: {value: 130}, clientY: {value: 90}});
  document.dispatchEvent(event);
  if (beside) return false;
  const own = new Event('wheel', {cancelable: true});
  define(own);
  Object.defineProperties(own, {clientX: {value: 130}, clientY: {value: 90}});
  canvas.dispatchEvent(own);
  return own.defaultPrevented;
}

test('at fit rolling down scrolls the page, rolling up at the top of the page zooms', () => {
  assert.ok(!roll(120));
  assert.ok(roll(-120, {pause: 400}));
  assert.deepEqual(calls.at(-1), ['transform', Math.exp(0.24), {x: 30, y: 40}, {x: 30, y: 40}]);
});

test('rolling up scrolls a page that is scrolled down, unless the photo has the focus and its top is visible', () => {
  document.scrollingElement.scrollTop = 60;
  assert.ok(!roll(-120));
  document.activeElement = canvas;
  assert.ok(roll(-120, {pause: 400}));
  canvasTop = -10;
  assert.ok(!roll(-120, {pause: 400}));
});

test('rolling up does not zoom in a framed page, which may have more above', () => {
  window.top = {};
  assert.ok(!roll(-120));
});

test('a roll keeps the meaning with which it began', () => {
  assert.ok(!roll(-40, {beside: true}));
  assert.ok(!roll(-40));        // the scroll has reached the photo
  assert.ok(roll(-40, {pause: 400}));
  zoom = 2;
  assert.ok(roll(120, {pause: 400}));
  zoom = 1;
  assert.ok(roll(120));         // the zoom has reached the whole photo
  assert.ok(!roll(120, {pause: 400}));
});

test('with Ctrl the wheel zooms wherever the page is, and no notch is too large', () => {
  document.scrollingElement.scrollTop = 100;
  assert.ok(roll(-10, {ctrlKey: true}));
  assert.deepEqual(calls.at(-1).slice(0, 2), ['transform', Math.exp(0.1)]);
  assert.ok(roll(-1000, {ctrlKey: true}));
  assert.deepEqual(calls.at(-1).slice(0, 2), ['transform', Math.exp(0.24)]);
});

test('rolling sideways moves a zoomed photo', () => {
  zoom = 3;
  assert.ok(roll(2, {deltaX: 30}));
  assert.deepEqual(calls.at(-1), ['transform', 1, {x: 30, y: 40}, {x: 0, y: 40}]);
});

test('lines of the wheel are longer than pixels', () => {
  zoom = 3;
  roll(2, {deltaMode: 1});
  assert.deepEqual(calls.at(-1).slice(0, 2), ['transform', Math.exp(-0.064)]);
});

test('a photo that is zoomed while it is moved goes on from there', () => {
  zoom = 3;
  send('pointerdown', 50, 50, {button: 1});
  send('pointermove', 80, 50);
  roll(-120);
  send('pointermove', 90, 50);
  assert.deepEqual([calls.at(-1)[0], calls.at(-1)[2].x, calls.at(-1)[3].x], ['transform', 80, 90]);
});
