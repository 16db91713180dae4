// Mouse, pen, touch and wheel on the canvas. One finger, the left or the right button make a gesture; the eraser and the
// button of a pen are as the right button. Two fingers, the middle button, or the left one while Space is held move the
// photo; a second finger cancels the gesture of the first. While a pen is used, fingers do nothing.
//
// The wheel zooms the photo or scrolls the page. It always zooms with Ctrl, which a trackpad's pinch sends
// too, and when the photo is zoomed in. At fit, rolling down scrolls the page; rolling up zooms only where
// the page cannot scroll up, or after a click on the photo while its top is visible. What a roll does is
// decided when it begins, so that a scroll that reaches the photo or a zoom that ends at fit goes on.
/** @import {Viewport} from '../core/viewport.js' */
import {clamp} from '../core/geometry.js';
import {REACH_PX} from '../core/markers.js';
import {createPalmFilter} from './palm.js';

const CLICK_SLOP_PX = {mouse: 4, pen: 6, touch: 12};
const ROLL_PAUSE_MS = 250;      // a longer pause begins another roll of the wheel
const LINE_PX = 16;
const ERASER = 5, SECONDARY = 2 | 32;          // a button, and bits of `buttons`: the right one or that of a pen, the eraser
const MAX_NOTCH_PX = 120;
const PINCH_GAIN = 5;           // a trackpad's pinch sends small deltas
const ZOOM_PER_PX = 0.002;

/** The number for the kind of pointer of an event. @type {(numbers: Record<string, number>, event: PointerEvent) => number} */
const byPointer = (numbers, {pointerType}) => numbers[pointerType] ?? numbers.mouse;

/** Whether a press excludes: with the right button, the button or the eraser of a pen, Shift or Alt.
 * @type {(event: PointerEvent) => boolean} */
const isNegativePress = ({button, buttons, pointerType, shiftKey, altKey}) => (
  button === 2 || button === ERASER || (pointerType === 'pen' && (buttons & SECONDARY) > 0) || shiftKey || altKey);

/** The position of an event on an element. @type {(event: MouseEvent, element: Element) => Point} */
export function screenPointOf(event, element) {
  const box = element.getBoundingClientRect();
  return {x: event.clientX - box.left, y: event.clientY - box.top};
}

/** Whether neither the page nor a page around it can be scrolled up. */
const isPageAtTop = () => window.top === window && (document.scrollingElement?.scrollTop ?? 0) <= 0;

function listenToWheel(/** @type {HTMLCanvasElement} */ canvas, /** @type {Viewport} */ viewport) {
  let rolledAt = -Infinity, isZooming = false;
  /** @param {WheelEvent} event */
  const shouldZoom = ({target, deltaY}) => target === canvas && (viewport.view.zoom > 1 || (deltaY < 0 && (isPageAtTop()
    || (document.activeElement === canvas && canvas.getBoundingClientRect().top >= 0))));

  document.addEventListener('wheel', (event) => {   // also beside the canvas, where a scroll may begin
    if (event.timeStamp - rolledAt > ROLL_PAUSE_MS) isZooming = shouldZoom(event);
    rolledAt = event.timeStamp;
  }, {capture: true, passive: true});
  canvas.addEventListener('wheel', (event) => {
    const {ctrlKey, deltaX, deltaY, deltaMode} = event;
    if (!viewport.isReady || !(ctrlKey || isZooming)) return;
    event.preventDefault();
    const unit = deltaMode === 0 ? 1 : LINE_PX, at = screenPointOf(event, canvas);
    if (!ctrlKey && Math.abs(deltaX) > Math.abs(deltaY)) {
      return viewport.transform(1, at, {x: at.x - deltaX * unit, y: at.y});
    }
    const delta = clamp(deltaY * unit * (ctrlKey ? PINCH_GAIN : 1), -MAX_NOTCH_PX, MAX_NOTCH_PX);
    viewport.transform(Math.exp(-delta * ZOOM_PER_PX), at, at);
  }, {passive: false});
}

/** Listens to the Space key where it is meant for the photo. Returns whether it is held.
 * @type {(canvas: HTMLCanvasElement, viewport: Viewport, onChange: () => void) => () => boolean} */
function listenToSpace(canvas, viewport, onChange) {
  // A button that was reached by Tab keeps its Space; one that was clicked before does not. The target is the body where
  // nothing has the focus.
  let isHeld = false, isTabbed = false;
  const isForPhoto = (/** @type {Element} */ target) => target === canvas || (canvas.matches(':hover')
    && (!isTabbed || target === document.body) && !target.matches('input, textarea, dialog *'));
  function hold(/** @type {boolean} */ next) {
    isHeld = next;
    onChange();
  }
  function onKey(/** @type {KeyboardEvent} */ event) {
    const {key, type, target} = event, isDown = type === 'keydown';
    if (key === 'Tab') isTabbed = true;
    if (key !== ' ' || !(isHeld || (isDown && viewport.isReady && isForPhoto(/** @type {Element} */ (target))))) return;
    event.preventDefault();
    hold(isDown);
  }

  document.addEventListener('pointerdown', () => { isTabbed = false; }, {capture: true});
  document.addEventListener('keydown', onKey);
  document.addEventListener('keyup', onKey);
  window.addEventListener('blur', () => hold(false));
  return () => isHeld;
}

/** What the pointers do, from the first press until all are released. @typedef {'gesture' | 'transform' | null} Mode */

/** Moves the photo in its viewport and makes gestures. `onPointer` gets the screenPoint of the pointer, null of a finger.
 * @type {(canvas: HTMLCanvasElement, viewport: Viewport, gestures: GestureHandlers,
 *   handlers: {onPointer: (screenPoint: Point | null) => void, onLeave: () => void}) => void} */
export function listenToGestures(canvas, viewport, gestures, {onPointer, onLeave}) {
  const pointers = /** @type {Map<number, Point>} */ (new Map());  // those that are down
  let mode = /** @type {Mode} */ (null);
  let start = {x: 0, y: 0}, moved = false;
  let initial = {x: 0, y: 0, length: 0}, initialView = viewport.view;

  const isPalm = createPalmFilter(canvas);
  const imagePointOf = (/** @type {MouseEvent} */ event) => viewport.toImage(screenPointOf(event, canvas));

  function setMode(/** @type {Mode} */ next) {
    mode = next;
    canvas.dataset.grab = next === 'transform' ? 'yes' : isSpaceHeld() ? 'ready' : 'no';
  }

  const isSpaceHeld = listenToSpace(canvas, viewport, () => setMode(mode));

  /** The centre of the pointers, and the distance of the first two. */
  function spread() {
    const [a, b = a] = pointers.values();
    return {x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, length: Math.hypot(a.x - b.x, a.y - b.y)};
  }

  function startTransform() {
    setMode('transform');
    initial = spread();
    initialView = viewport.view;
  }

  function press(/** @type {PointerEvent} */ event) {
    if (!viewport.isReady) return;
    event.preventDefault();
    if (isPalm(event)) return;
    const screenPoint = screenPointOf(event, canvas);
    if (event.isPrimary) {
      canvas.focus({preventScroll: true});
      pointers.clear();
      gestures.cancel();
      setMode(null);
      onPointer(event.pointerType === 'touch' ? null : screenPoint);
    }
    if (pointers.size === 2) return;  // a third finger
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, screenPoint);
    if (pointers.size === 2) {
      gestures.cancel();
      startTransform();
    } else if (event.button === 1 || (isSpaceHeld() && event.button === 0)) {
      startTransform();
    } else if (mode === null && [0, 2, ERASER].includes(event.button)) {
      start = screenPoint;
      moved = false;
      setMode('gesture');
      gestures.begin(viewport.toImage(screenPoint), isNegativePress(event), byPointer(REACH_PX, event));
    }
  }

  function drag(/** @type {PointerEvent} */ event) {
    const screenPoint = screenPointOf(event, canvas);
    if (!pointers.has(event.pointerId)) {
      if (event.pointerType !== 'touch') onPointer(screenPoint);
      return;
    }
    pointers.set(event.pointerId, screenPoint);
    if (mode === 'gesture') {
      moved ||= Math.hypot(screenPoint.x - start.x, screenPoint.y - start.y) > byPointer(CLICK_SLOP_PX, event);
      // All samples since the last frame, so that a quick stroke has no corners.
      const samples = event.getCoalescedEvents?.() ?? [];
      return gestures.move((samples.length ? samples : [event]).map(imagePointOf), moved);
    }
    if (!mode) return;
    const now = spread();
    viewport.transform(initial.length ? now.length / initial.length : 1, initial, now, initialView);
  }

  function lift(/** @type {PointerEvent} */ event) {
    if (!pointers.delete(event.pointerId)) return;
    const wasGesture = mode === 'gesture';
    if (pointers.size) return startTransform();
    setMode(null);
    if (!wasGesture) return;
    if (event.type !== 'pointerup' || isPalm(event)) return gestures.cancel();
    gestures.move([imagePointOf(event)], moved);
    gestures.end();
    if (event.pointerType !== 'touch') onPointer(screenPointOf(event, canvas));
  }

  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('mousedown', (event) => { if (event.button === 1) event.preventDefault(); });  // no autoscroll
  canvas.addEventListener('pointerdown', press);
  canvas.addEventListener('pointermove', drag);
  for (const type of /** @type {const} */ (['pointerup', 'pointercancel', 'lostpointercapture'])) {
    canvas.addEventListener(type, lift);
  }
  canvas.addEventListener('pointerleave', (event) => { if (event.pointerType !== 'touch') onLeave(); });
  listenToWheel(canvas, viewport);
  canvas.addEventListener('wheel', () => { if (mode === 'transform') startTransform(); }, {passive: true});
}
