// A crosshair that the arrow keys move, and gestures made with it.
/** @import {Viewport} from '../core/viewport.js' */
import {pixelAt} from '../core/geometry.js';

const STEP_PX = 6;              // of an arrow key, on the screen; at least one pixel of the photo
const LARGE_STEPS = 8;          // of an arrow key with Shift
const MARGIN_PX = 32;           // between the crosshair and the edge of the canvas

/** Creates the crosshair; its gesture in progress is a box. `onMove` gets where an arrow key has moved it: one that only
 * shows, as after a name was typed, leaves the lead to the mouse.
 * @param {Viewport} viewport @param {GestureHandlers} gestures
 * @param {(imagePoint: Point) => void} onMove @param {() => void} onHide */
export function createCrosshair(viewport, gestures, onMove, onHide) {
  let at = /** @type {Point | null} */ (null);
  let isShown = false;

  /** Moves to the middle of a pixel. @type {(imagePoint: Point) => Point} */
  function moveTo(imagePoint) {
    const {x, y} = pixelAt(imagePoint, viewport.photo);
    at = {x: x + 0.5, y: y + 0.5};
    isShown = true;
    if (gestures.isInProgress) gestures.move([at], true);
    viewport.reveal(at, MARGIN_PX);
    return at;
  }

  function show() {
    if (isShown && at) return at;
    return moveTo(at && viewport.isVisible(at) ? at : viewport.centre);
  }

  return {
    get imagePoint() { return isShown ? at : null; },
    show,
    hide() {
      if (!isShown || gestures.isInProgress) return;
      isShown = false;
      onHide();
    },
    /** For another photo: the crosshair starts in the middle again. */
    reset() { at = null; isShown = false; },
    /** @type {(dx: number, dy: number, isLarge: boolean) => void} */
    step(dx, dy, isLarge) {
      if (!isShown || !at) return onMove(show());
      const step = Math.max(1, Math.round(STEP_PX / viewport.projection().scale)) * (isLarge ? LARGE_STEPS : 1);
      onMove(moveTo({x: at.x + dx * step, y: at.y + dy * step}));
    },
    /** Clicks, or ends the box. @param {boolean} isNegative */
    mark(isNegative) {
      const point = show();
      if (!gestures.isInProgress) gestures.begin(point, isNegative, 0);
      gestures.end();
    },
    /** Begins a box at this corner, or ends it. */
    corner() {
      const point = show();
      if (gestures.isInProgress) return gestures.end();
      gestures.begin(point, false, 0);
      gestures.move([point], true);
    },
  };
}
