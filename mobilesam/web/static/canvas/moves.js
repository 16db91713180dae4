// Moves and scales what shows in an element, with one or two pointers and the wheel.
import {clamp} from '../core/geometry.js';
import {screenPointOf} from './gestures.js';
import {createPalmFilter} from './palm.js';

const ZOOM_PER_PX = 0.002;
const MAX_NOTCH_PX = 120;

/** `onMove` gets the distance in CSS pixels, the factor by which the distance of two fingers has grown, and of a drag whether
 * this is its first move.
 * @type {(view: HTMLElement, isActive: () => boolean,
 *   onMove: (change: {x: number, y: number, factor: number, isFirst?: boolean}) => void) => void} */
export function listenToMoves(view, isActive, onMove) {
  const pointers = /** @type {Map<number, Point>} */ (new Map()), isPalm = createPalmFilter(view);
  let isFirst = true;

  function spread() {
    const [a, b = a] = pointers.values();
    return {x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, length: Math.hypot(a.x - b.x, a.y - b.y)};
  }
  view.addEventListener('pointerdown', (event) => {
    if (!isActive() || event.button !== 0 || isPalm(event)) return;
    if (event.isPrimary) {
      pointers.clear();      // of another kind
      isFirst = true;
    }
    if (pointers.size === 2) return;
    view.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, screenPointOf(event, view));
  });
  view.addEventListener('pointermove', (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = spread();
    pointers.set(event.pointerId, screenPointOf(event, view));
    const now = spread();
    onMove({x: now.x - before.x, y: now.y - before.y, factor: before.length ? now.length / before.length : 1, isFirst});
    isFirst = false;
  });
  view.addEventListener('lostpointercapture', (event) => pointers.delete(event.pointerId));
  view.addEventListener('wheel', (event) => {
    if (!isActive()) return;
    event.preventDefault();
    onMove({x: 0, y: 0, factor: Math.exp(-clamp(event.deltaY, -MAX_NOTCH_PX, MAX_NOTCH_PX) * ZOOM_PER_PX)});
  }, {passive: false});
}
