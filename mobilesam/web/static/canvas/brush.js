// The brush: strokes that add to the mask or erase from it. The page shows them immediately on the newest
// mask; the server applies them at the photo's own resolution (mobilesam/paint.py).
import {clamp, simplifiedPath} from '../core/geometry.js';
import {strokeWithRim} from './markers.js';

const MIN_PX = 4, MAX_PX = 160;  // diameter on the screen
const START_SHARE = 0.6;        // of the slider, whose scale is logarithmic
const STEP = 0.06;              // of the keys
const TOLERANCE_PX = 0.5;       // on the screen, hence invisible

const rounded = (/** @type {number} */ value) => Math.round(10 * value) / 10;

/** Creates the brush. `isRemoving` tells whether strokes erase without the right button too; `onDraw` is called when the
 * stroke in progress has changed, `onStroke` when it is complete.
 * @param {{limits: Pick<Limits, 'max_interactions' | 'max_path_points' | 'max_radius_px'>, isRemoving: () => boolean,
 *   interactions: () => Interaction[], onStroke: (stroke: Stroke) => void, onDraw: () => void, onSize: () => void,
 *   onError: (message: string) => void}} options */
export function createBrush({limits, interactions, isRemoving, onStroke, onDraw, onSize, onError}) {
  let share = START_SHARE;
  let stroke = /** @type {Stroke | null} */ (null);  // in progress

  const diameter = () => MIN_PX * (MAX_PX / MIN_PX) ** share;

  function setShare(/** @type {number} */ next) {
    share = clamp(next, 0, 1);
    onSize();
  }

  /** @type {Tool} */
  const tool = {
    begin({from, isNegative, scale}) {
      const radius = clamp(diameter() / 2 / scale, 0.1, limits.max_radius_px);
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
      context.arc(x, y, stroke ? stroke.radius * scale : diameter() / 2, 0, 7);
      strokeWithRim(context, (stroke ? !stroke.label : isRemoving()) ? '#fecaca' : '#fff', 1.5);
    },
  };

  return {
    tool, setShare,
    get stroke() { return stroke; },
    get size() { return diameter(); },
    /** Where the size is between the smallest (0) and the largest (1). */
    get share() { return share; },
    smaller() { setShare(share - STEP); },
    larger() { setShare(share + STEP); },
  };
}
