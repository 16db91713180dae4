// @ts-check
// A crosshair that the arrow keys move, and gestures made with it.
/** @import {GestureHandlers, Point} from '../core/types.js' */
/** @import {Viewport} from '../core/viewport.js' */
import {pixelAt} from '../core/geometry.js';

const STEP_PX = 6;              // of an arrow key, on the screen; at least one pixel of the photo
const LARGE_STEPS = 8;          // of an arrow key with Shift
const MARGIN_PX = 32;           // between the crosshair and the edge of the canvas

/** Creates the crosshair; its gesture in progress is a box.
 * @type {(viewport: Viewport, gestures: GestureHandlers, onMove: (imagePoint: Point) => void, onHide: () => void) => Crosshair} */
export function createCrosshair(viewport, gestures, onMove, onHide) {
  /** @type {Point | null} */
  let at = null;
  let isShown = false;

  /** Moves to the middle of a pixel. @type {(imagePoint: Point) => Point} */
  function moveTo(imagePoint) {
    const {x, y} = pixelAt(imagePoint, viewport.photo);
    at = {x: x + 0.5, y: y + 0.5};
    isShown = true;
    if (gestures.isInProgress) gestures.move([at], true);
    onMove(at);
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
    reset() { at = null; isShown = false; },
    step(dx, dy, isLarge) {
      if (!isShown || !at) { show(); return; }
      const step = Math.max(1, Math.round(STEP_PX / viewport.projection().scale)) * (isLarge ? LARGE_STEPS : 1);
      moveTo({x: at.x + dx * step, y: at.y + dy * step});
    },
    mark(isNegative) {
      const point = show();
      if (!gestures.isInProgress) gestures.begin(point, isNegative);
      gestures.end();
    },
    corner() {
      const point = show();
      if (gestures.isInProgress) return gestures.end();
      gestures.begin(point, false);
      gestures.move([point], true);
    },
  };
}

/** @typedef {object} Crosshair
 * @property {Point | null} imagePoint null while it is hidden
 * @property {() => Point} show
 * @property {() => void} hide
 * @property {() => void} reset for another photo: it starts in the middle again
 * @property {(dx: number, dy: number, isLarge: boolean) => void} step
 * @property {(isNegative: boolean) => void} mark clicks, or ends the box
 * @property {() => void} corner begins a box at this corner, or ends it
 */
