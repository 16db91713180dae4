// @ts-check
// Working without a pointer: a crosshair that the arrow keys move, and gestures made with it.
/** @import {Point, Size} from '../core/types.js' */
import {pixelAt} from '../core/geometry.js';

const STEP_PX = 6;              // of an arrow key, on the screen; at least one pixel of the photo
const LARGE_STEPS = 8;          // of an arrow key with Shift

/**
 * Creates the crosshair. Points are imagePoints.
 * @param {object} options
 * @param {() => {photo: Size, scale: number, centre: Point, isVisible: (point: Point) => boolean}} options.look
 *   CSS pixels per photo pixel, the point in the middle of the canvas, whether another is on the canvas
 * @param {(point: Point, isNegative: boolean) => void} options.begin
 * @param {(point: Point) => void} options.move
 * @param {() => void} options.end
 * @param {(point: Point | null) => void} options.onMove the crosshair shows there, or not at all
 */
export function createCrosshair({look, begin, move, end, onMove}) {
  /** @type {Point | null} */
  let at = null;
  let isShown = false, isBoxBegun = false;

  /** Moves to the middle of a pixel.
   * @type {(point: Point) => Point} */
  function moveTo(point) {
    const {x, y} = pixelAt(point, look().photo);
    at = {x: x + 0.5, y: y + 0.5};
    isShown = true;
    if (isBoxBegun) move(at);
    onMove(at);
    return at;
  }

  function show() {
    if (isShown && at) return at;
    return moveTo(at && look().isVisible(at) ? at : look().centre);
  }

  return {
    get imagePoint() { return isShown ? at : null; },
    show,
    hide() {
      if (!isShown || isBoxBegun) return;
      isShown = false;
      onMove(null);
    },
    /** For another photo: the crosshair starts in the middle again. */
    reset() { at = null; isShown = isBoxBegun = false; },
    /** The gesture in progress has ended or was cancelled. */
    release() { isBoxBegun = false; },
    /** @type {(dx: number, dy: number, isLarge: boolean) => void} */
    step(dx, dy, isLarge) {
      if (!isShown || !at) { show(); return; }
      const step = Math.max(1, Math.round(STEP_PX / look().scale)) * (isLarge ? LARGE_STEPS : 1);
      moveTo({x: at.x + dx * step, y: at.y + dy * step});
    },
    /** Clicks, or ends the box that was begun.
     * @type {(isNegative: boolean) => void} */
    mark(isNegative) {
      const point = show();
      if (!isBoxBegun) begin(point, isNegative);
      end();
    },
    /** Begins a box at this corner, or ends it. */
    corner() {
      const point = show();
      if (isBoxBegun) return end();
      begin(point, false);
      isBoxBegun = true;
      move(point);
    },
  };
}
