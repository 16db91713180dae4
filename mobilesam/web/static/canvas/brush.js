// @ts-check
// The brush: strokes that add to the mask or erase from it. The page shows them immediately on the newest
// mask; the server applies them at the photo's own resolution (mobilesam/paint.py).
/** @import {Interaction, Limits, Stroke, Tool} from '../core/types.js' */
import {clamp, simplifiedPath} from '../core/geometry.js';
import {countPathPoints} from '../core/interactions.js';
import {strokeWithRim} from './markers.js';

const MIN_PX = 4, MAX_PX = 160, START_PX = 36;  // diameter on the screen, so zoomed in it paints finer
const STEP = 1.25;              // of the keys
const TOLERANCE_PX = 0.5;       // on the screen, hence invisible

/**
 * Creates the brush.
 * @param {object} options
 * @param {Pick<Limits, 'max_interactions' | 'max_path_points' | 'max_radius_px'>} options.limits
 * @param {() => Interaction[]} options.interactions those of the page, for the limits
 * @param {() => boolean} options.isRemoving whether it erases even without the right button
 * @param {(stroke: Stroke) => void} options.onStroke a stroke is complete
 * @param {() => void} options.onDraw the stroke in progress has changed
 * @param {(diameterPx: number) => void} options.onSize
 * @param {(message: string) => void} options.onError
 */
export function createBrush({limits, interactions, isRemoving, onStroke, onDraw, onSize, onError}) {
  let diameter = START_PX;
  /** @type {[x: number, y: number][]} */
  let path = [];                // of the stroke in progress, empty if there is none
  let radius = 0, label = 1, frame = 0;

  /** @param {number} px */
  function setDiameter(px) {
    diameter = clamp(px, MIN_PX, MAX_PX);
    onSize(diameter);
  }

  /** Shows the stroke with the next frame of the screen, however many samples come before it. */
  function drawSoon() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (path.length) onDraw();
    });
  }

  /** @param {number} value */
  const rounded = (value) => Math.round(10 * value) / 10;

  /** @type {Tool} */
  const tool = {
    begin({from, isNegative, scale}) {
      path = [[from.x, from.y]];
      radius = clamp(diameter / 2 / scale, 0.1, limits.max_radius_px);
      label = isNegative || isRemoving() ? 0 : 1;
      onDraw();
    },
    move({to}) {
      const [x, y] = path[path.length - 1];
      if (to.x === x && to.y === y) return;
      path.push([to.x, to.y]);
      drawSoon();
    },
    end({moved, scale}) {
      const drawn = moved ? simplifiedPath(path, TOLERANCE_PX / scale) : path.slice(0, 1);
      path = [];
      const others = interactions();
      if (others.length < limits.max_interactions && countPathPoints(others) + drawn.length <= limits.max_path_points) {
        return onStroke({type: 'stroke', path: drawn.map(([x, y]) => [rounded(x), rounded(y)]), radius: rounded(radius), label});
      }
      onDraw();
      onError('There are too many brush strokes. Undo some, or clear and start again.');
    },
    cancel() {
      if (!path.length) return;
      path = [];
      onDraw();
    },
    draw() {},                  // the stroke is drawn as part of the mask
    cursor(context, {x, y}, scale) {
      context.beginPath();
      context.arc(x, y, path.length ? radius * scale : diameter / 2, 0, 7);
      strokeWithRim(context, (path.length ? label === 0 : isRemoving()) ? '#fecaca' : '#fff', 1.5);
    },
  };

  return {
    tool,
    /** @returns {Stroke | null} the stroke in progress */
    get stroke() { return path.length ? {type: 'stroke', path, radius, label} : null; },
    get size() { return diameter; },
    /** The position of the size between the smallest and the largest, 0 to 1: equal steps of ratio. */
    get share() { return Math.log(diameter / MIN_PX) / Math.log(MAX_PX / MIN_PX); },
    /** @param {number} share */
    setShare(share) { setDiameter(MIN_PX * (MAX_PX / MIN_PX) ** share); },
    smaller() { setDiameter(diameter / STEP); },
    larger() { setDiameter(diameter * STEP); },
  };
}
