// Removes the specks of a predicted mask and fills its small holes, as mobilesam/cleanup.py does.
import {regionsOf} from './regions.js';

const MIN_PART = 0.02;          // smaller parts are specks; a share of the area of the largest part with a positive point
const MIN_HOLE = 0.01;          // smaller holes are filled; a share of the same area

/** A copy of a mask with a margin, which joins all background that is not enclosed. @param {Bitmap} mask */
function withMargin({size: [height, width], data}) {
  const padded = new Uint8Array((height + 2) * (width + 2));
  for (let x = 0; x < width; x++) {
    padded.set(data.subarray(x * height, (x + 1) * height), (x + 1) * (height + 2) + 1);
  }
  return padded;
}

/** The mask without specks and small holes; no part with a positive point goes, and no hole with a negative one is filled.
 * The points are in pixels of the photo.
 * @type {(mask: Bitmap, points: LabelledPoint[], photo: Size) => Bitmap} */
export function cleanMask(mask, points, photo) {
  const [height, width] = mask.size, rows = height + 2;
  if (!mask.data.includes(1)) return mask;
  const data = withMargin(mask);

  /** The regions at the points with a label and around them: scaling a mask moves edges by a pixel.
   * @type {(regions: ReturnType<typeof regionsOf>, label: number) => Set<number>} */
  function regionsAt(regions, label) {
    const found = new Set();
    for (const point of points.filter((one) => one.label === label)) {
      const x = Math.floor(point.x * (width / photo.width)), y = Math.floor(point.y * (height / photo.height));
      for (let column = x - 1; column <= x + 1; column++) {
        for (let row = y - 1; row <= y + 1; row++) {
          const clamped = [Math.min(Math.max(column + 1, 0), width + 1), Math.min(Math.max(row + 1, 0), height + 1)];
          found.add(regions.at(clamped[0] * rows + clamped[1]));
        }
      }
    }
    found.delete(undefined);
    return found;
  }

  const parts = regionsOf(data, rows, 1, true), clicked = regionsAt(parts, 1);
  const areas = Array.from(parts.areas).flatMap(([part, area]) => (!clicked.size || clicked.has(part) ? [area] : []));
  const largest = Math.max(...areas);
  const areaOf = (/** @type {ReturnType<typeof regionsOf>} */ regions, /** @type {number} */ region) => regions.areas.get(region) ?? 0;
  parts.invert((part) => areaOf(parts, part) < MIN_PART * largest && !clicked.has(part));

  const holes = regionsOf(data, rows, 0, false), excluded = regionsAt(holes, 0), outside = holes.at(0);
  holes.invert((hole) => hole !== outside && areaOf(holes, hole) < MIN_HOLE * largest && !excluded.has(hole));

  const cleaned = new Uint8Array(height * width);
  for (let x = 0; x < width; x++) cleaned.set(data.subarray((x + 1) * rows + 1, (x + 2) * rows - 1), x * height);
  return {size: mask.size, data: cleaned};
}
