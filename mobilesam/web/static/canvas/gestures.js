// @ts-check
// Mouse, pen, fingers and wheel on the canvas, as gestures, zooms and pans in screenPoints.
//
// One finger, the left or the right button make a gesture. Two fingers, the middle button, or the left
// one while Space is held move the photo; a second finger cancels the gesture of the first.
//
// The wheel either zooms the photo or scrolls the page. With Ctrl, which a trackpad's pinch sends too, it
// always zooms. Otherwise it zooms when the photo is zoomed in already. At fit, rolling down scrolls the
// page; rolling up zooms only where the page cannot scroll up, or after a click into the photo while its
// top is visible. A roll keeps the meaning with which it began, so that neither a scroll that reaches the
// photo nor a zoom that ends at fit changes its effect halfway.
/** @import {Point} from '../core/types.js' */
import {clamp} from '../core/geometry.js';

const CLICK_SLOP_PX = {mouse: 4, pen: 6, touch: 12};
const ROLL_PAUSE_MS = 250;      // a longer pause begins another roll of the wheel
const LINE_PX = 16;
const MAX_NOTCH_PX = 120;
const PINCH_GAIN = 5;           // a trackpad's pinch sends small deltas
const ZOOM_PER_PX = 0.002;

/** Where an event lies on an element.
 * @type {(event: MouseEvent, element: Element) => Point} */
export function screenPointOf(event, element) {
  const box = element.getBoundingClientRect();
  return {x: event.clientX - box.left, y: event.clientY - box.top};
}

/** Whether the page cannot be scrolled up, nor a page around it. */
function isPageAtTop() {
  return window.top === window && (document.scrollingElement?.scrollTop ?? 0) <= 0;
}

/**
 * What gestures do.
 * @typedef {object} GestureHandlers
 * @property {() => boolean} isReady whether there is a photo
 * @property {() => boolean} isZoomed
 * @property {(screenPoint: Point, isNegative: boolean) => void} begin
 * @property {(screenPoints: Point[], moved: boolean) => void} move the gesture has passed all the points
 * @property {() => void} end
 * @property {() => void} cancel
 * @property {(factor: number, screenPoint: Point) => void} zoom
 * @property {(dx: number, dy: number) => void} pan
 * @property {() => void} beginTransform the next transforms start from the present view
 * @property {(factor: number, from: Point, to: Point) => void} transform
 * @property {(screenPoint: Point | null) => void} hover the pointer is there; null: it is a finger
 * @property {() => void} leave the pointer has left the canvas
 */

/** Zooms by the wheel.
 * @type {(canvas: HTMLCanvasElement, handlers: GestureHandlers) => void} */
function listenToWheel(canvas, {isReady, isZoomed, zoom, pan}) {
  let rolledAt = -Infinity, isZooming = false;
  /** @param {WheelEvent} event */
  const shouldZoom = ({target, deltaY}) => target === canvas && (isZoomed() || (deltaY < 0 && (isPageAtTop()
    || (document.activeElement === canvas && canvas.getBoundingClientRect().top >= 0))));

  document.addEventListener('wheel', (event) => {   // also beside the canvas, where a scroll may begin
    if (event.timeStamp - rolledAt > ROLL_PAUSE_MS) isZooming = shouldZoom(event);
    rolledAt = event.timeStamp;
  }, {capture: true, passive: true});
  canvas.addEventListener('wheel', (event) => {
    if (!isReady() || !(event.ctrlKey || isZooming)) return;
    event.preventDefault();
    const unit = event.deltaMode === 0 ? 1 : LINE_PX;
    if (!event.ctrlKey && Math.abs(event.deltaX) > Math.abs(event.deltaY)) return pan(-event.deltaX * unit, 0);
    const delta = clamp(event.deltaY * unit * (event.ctrlKey ? PINCH_GAIN : 1), -MAX_NOTCH_PX, MAX_NOTCH_PX);
    zoom(Math.exp(-delta * ZOOM_PER_PX), screenPointOf(event, canvas));
  }, {passive: false});
}

/** Follows the Space key where it is meant for the photo.
 * @type {(canvas: HTMLCanvasElement, isReady: () => boolean, onChange: (isHeld: boolean) => void) => void} */
function listenToSpace(canvas, isReady, onChange) {
  // A button that was reached by Tab keeps its Space; one that was clicked before does not.
  let isHeld = false, isOver = false, isTabbed = false;
  /** @param {Element} target */
  const isForPhoto = (target) => target === canvas || (isOver && !isTabbed && !target.matches('input, textarea, dialog *'));
  /** @param {boolean} next */
  function hold(next) {
    isHeld = next;
    onChange(isHeld);
  }

  canvas.addEventListener('pointermove', () => { isOver = true; });
  canvas.addEventListener('pointerleave', () => { isOver = false; });
  document.addEventListener('pointerdown', () => { isTabbed = false; }, {capture: true});
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Tab') isTabbed = true;
    if (event.key !== ' ' || !isReady() || !(isHeld || isForPhoto(/** @type {Element} */ (event.target)))) return;
    event.preventDefault();
    hold(true);
  });
  document.addEventListener('keyup', (event) => {
    if (event.key !== ' ' || !isHeld) return;
    event.preventDefault();
    hold(false);
  });
  window.addEventListener('blur', () => hold(false));
}

/** What the pointers that are down do, until all are up. @typedef {'gesture' | 'pan' | 'pinch' | null} Mode */

/** Listens to mouse, pen, fingers, wheel and Space on a canvas.
 * @type {(canvas: HTMLCanvasElement, handlers: GestureHandlers) => void} */
export function listenToGestures(canvas, handlers) {
  const {isReady, begin, move, end, cancel, beginTransform, transform, hover, leave} = handlers;
  /** @type {Map<number, Point>} the pointers that are down */
  const pointers = new Map();
  /** @type {Mode} */
  let mode = null;
  let start = {x: 0, y: 0}, moved = false, initial = {x: 0, y: 0, length: 0}, isSpaceHeld = false;

  /** @param {Mode} next */
  function setMode(next) {
    mode = next;
    canvas.dataset.grab = next === 'pan' || next === 'pinch' ? 'yes' : isSpaceHeld ? 'ready' : 'no';
  }

  /** The centre of the pointers, and the distance of the first two. */
  function spread() {
    const [a, b = a] = pointers.values();
    return {x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, length: Math.hypot(a.x - b.x, a.y - b.y)};
  }

  /** Measures from here on, so that nothing is lost when the photo is at an edge. */
  function startTransform() {
    initial = spread();
    beginTransform();
  }

  /** @param {PointerEvent} event */
  function press(event) {
    if (!isReady()) return;
    event.preventDefault();
    if (event.isPrimary) {
      canvas.focus({preventScroll: true});
      hover(event.pointerType === 'touch' ? null : screenPointOf(event, canvas));
      pointers.clear();
      cancel();
      setMode(null);
    }
    if (pointers.size === 2) return;              // a third finger
    const screenPoint = screenPointOf(event, canvas);
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, screenPoint);
    if (pointers.size === 2) {
      cancel();
      setMode('pinch');
      startTransform();
    } else if (event.button === 1 || (isSpaceHeld && event.button === 0)) {
      setMode('pan');
      startTransform();
    } else if (mode === null && (event.button === 0 || event.button === 2)) {
      start = screenPoint;
      moved = false;
      setMode('gesture');
      begin(screenPoint, event.button === 2 || event.shiftKey || event.altKey);
    }
  }

  /** @param {PointerEvent} event */
  function drag(event) {
    const screenPoint = screenPointOf(event, canvas);
    if (!pointers.has(event.pointerId)) return hover(screenPoint);
    pointers.set(event.pointerId, screenPoint);
    if (mode === 'gesture') {
      const slop = CLICK_SLOP_PX[/** @type {keyof typeof CLICK_SLOP_PX} */ (event.pointerType)] ?? CLICK_SLOP_PX.mouse;
      moved ||= Math.hypot(screenPoint.x - start.x, screenPoint.y - start.y) > slop;
      // All samples since the last frame, so that a quick stroke has no corners.
      const samples = event.getCoalescedEvents?.() ?? [];
      return move((samples.length ? samples : [event]).map((sample) => screenPointOf(sample, canvas)), moved);
    }
    if (!mode) return;
    const now = spread();
    transform(initial.length ? now.length / initial.length : 1, initial, now);
  }

  /** @param {PointerEvent} event */
  function lift(event) {
    if (!pointers.delete(event.pointerId)) return;
    const wasGesture = mode === 'gesture';
    if (pointers.size) return startTransform();
    setMode(null);
    if (!wasGesture) return;
    if (event.type !== 'pointerup') return cancel();
    move([screenPointOf(event, canvas)], moved);
    end();
  }

  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('mousedown', (event) => { if (event.button === 1) event.preventDefault(); });  // no autoscroll
  canvas.addEventListener('pointerdown', press);
  canvas.addEventListener('pointermove', drag);
  canvas.addEventListener('pointerup', lift);
  canvas.addEventListener('pointercancel', lift);
  canvas.addEventListener('lostpointercapture', lift);
  canvas.addEventListener('pointerleave', leave);
  listenToWheel(canvas, handlers);
  listenToSpace(canvas, isReady, (isHeld) => {
    isSpaceHeld = isHeld;
    setMode(mode);
  });
}
