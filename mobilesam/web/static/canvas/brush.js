// The brush: strokes that add to the mask or erase from it. The page shows them immediately on the newest
// mask; the server applies them at the photo's own resolution (mobilesam/paint.py).
/** @import {Interaction, Limits, Stroke, Tool} from '../core/types.js' */
import {clamp, simplifiedPath} from '../core/geometry.js';
import {strokeWithRim} from './markers.js';

const MIN_PX = 4, MAX_PX = 160, START_PX = 36;  // diameter on the screen
const STEP = 1.25;              // of the keys
const TOLERANCE_PX = 0.5;       // on the screen, hence invisible

const rounded = (/** @type {number} */ value) => Math.round(10 * value) / 10;

/** Creates the brush. `isRemoving` tells whether strokes erase without the right button too; `onDraw` is called when the
 * stroke in progress has changed, `onStroke` when it is complete.
 * @param {{limits: Pick<Limits, 'max_interactions' | 'max_path_points' | 'max_radius_px'>, isRemoving: () => boolean,
 *   interactions: () => Interaction[], onStroke: (stroke: Stroke) => void, onDraw: () => void, onSize: () => void,
 *   onError: (message: string) => void}} options */
export function createBrush({limits, interactions, isRemoving, onStroke, onDraw, onSize, onError}) {
  let diameter = START_PX;
  let stroke = /** @type {Stroke | null} */ (null);  // in progress

  function setDiameter(/** @type {number} */ px) {
    diameter = clamp(px, MIN_PX, MAX_PX);
    onSize();
  }

  /** @type {Tool} */
  const tool = {
    begin({from, isNegative, scale}) {
      const radius = clamp(diameter / 2 / scale, 0.1, limits.max_radius_px);
      stroke = {type: 'stroke', path: [[from.x, from.y]], radius, label: isNegative || isRemoving() ? 0 : 1};
      onDraw();
    },
    move({passed}) {
      stroke?.path.push(...passed.map(({x, y}) => /** @type {[number, number]} */ ([x, y])));
      onDraw();
    },
    end({moved, scale}) {
      if (!stroke) return;
      const {path, radius, label} = stroke, others = interactions();
      const pointCount = others.reduce((sum, item) => sum + (item.type === 'stroke' ? item.path.length : 0), 0);
      const simplified = moved ? simplifiedPath(path, TOLERANCE_PX / scale) : path.slice(0, 1);
      stroke = null;
      if (others.length < limits.max_interactions && pointCount + simplified.length <= limits.max_path_points) {
        return onStroke({type: 'stroke', path: simplified.map(([x, y]) => [rounded(x), rounded(y)]), radius: rounded(radius), label});
      }
      onDraw();
      onError('There are too many brush strokes. Undo some, or clear and start again.');
    },
    cancel() {
      if (!stroke) return;
      stroke = null;
      onDraw();
    },
    cursor(context, {x, y}, scale) {
      context.beginPath();
      context.arc(x, y, stroke ? stroke.radius * scale : diameter / 2, 0, 7);
      strokeWithRim(context, (stroke ? !stroke.label : isRemoving()) ? '#fecaca' : '#fff', 1.5);
    },
  };

  return {
    tool,
    get stroke() { return stroke; },
    get size() { return diameter; },
    /** The size on a logarithmic scale, 0 for the smallest and 1 for the largest. */
    get share() { return Math.log(diameter / MIN_PX) / Math.log(MAX_PX / MIN_PX); },
    setShare(/** @type {number} */ share) { setDiameter(MIN_PX * (MAX_PX / MIN_PX) ** share); },
    smaller() { setDiameter(diameter / STEP); },
    larger() { setDiameter(diameter * STEP); },
  };
}
