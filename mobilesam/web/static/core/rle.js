// Masks in COCO's compressed run-length encoding. Runs go down the columns and alternate between
// outside and inside, outside first.
import {fitted} from './geometry.js';

/** COCO's compressed counts as run lengths (rleFrString in pycocotools). @type {(counts: string) => number[]} */
export function parseCounts(counts) {
  const runs = /** @type {number[]} */ ([]);
  for (let position = 0; position < counts.length;) {
    let value = 0, shift = 0, code;
    do {
      code = counts.charCodeAt(position++) - 48;
      value |= (code & 0x1f) << shift;
      shift += 5;
    } while (code & 0x20);
    if (code & 0x10) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

/** For every source pixel along an axis, the first target pixel whose nearest source pixel is that or a later
 * one. The centre of target pixel t is at (t + 0.5) * sourceLength / targetLength. */
function firstTargets(/** @type {number} */ sourceLength, /** @type {number} */ targetLength) {
  return Int32Array.from({length: sourceLength + 1}, (_, source) => (
    Math.max(0, Math.ceil((2 * source * targetLength - sourceLength) / (2 * sourceLength)))));
}

/** The pixels inside at a size, by the nearest pixel, as ranges [start, end, start, end, ...] column by column.
 * It reads the runs only, so the time depends on the length of the outline, not on the number of pixels.
 * @type {(rle: Rle, size: [height: number, width: number]) => number[]} */
export function insideRanges({size: [height, width], counts}, [toHeight, toWidth]) {
  const ranges = /** @type {number[]} */ ([]);
  const firstRow = firstTargets(height, toHeight), firstColumn = firstTargets(width, toWidth);
  let position = 0;
  parseCounts(counts).forEach((run, index) => {
    const end = position + run;
    if (index % 2 === 0) { position = end; return; }
    while (position < end) {
      const column = Math.floor(position / height), top = column * height;
      const stop = Math.min(end, top + height);
      const from = firstRow[position - top], to = firstRow[stop - top];
      for (let x = firstColumn[column]; from < to && x < firstColumn[column + 1]; x++) {
        ranges.push(x * toHeight + from, x * toHeight + to);
      }
      position = stop;
    }
  });
  return ranges;
}

/** Decodes a mask, at its own size or at another one.
 * @type {(rle: Rle, size?: [height: number, width: number]) => Bitmap} */
export function decodeRle(rle, size = rle.size) {
  const data = new Uint8Array(size[0] * size[1]), ranges = insideRanges(rle, size);
  for (let k = 0; k < ranges.length; k += 2) data.fill(1, ranges[k], ranges[k + 1]);
  return {size, data};
}

/** The size at which a mask is shown: its longest side at most `side`.
 * @type {(rle: Rle, side: number) => [height: number, width: number]} */
export function displaySize({size: [height, width]}, side) {
  const [displayWidth, displayHeight] = fitted(width, height, side);
  return [displayHeight, displayWidth];
}

/** @type {(rle: Rle, side: number) => Bitmap} */
export const decodeForDisplay = (rle, side) => decodeRle(rle, displaySize(rle, side));

/** The share of pixels inside, 0 to 1. @type {(rle: Rle) => number} */
export function coverage({size: [height, width], counts}) {
  const area = parseCounts(counts).reduce((sum, run, index) => (index % 2 ? sum + run : sum), 0);
  return area / (height * width);
}

/** The intersection over union of two masks, given as ranges at the same size; 0 if both are empty.
 * @type {(a: number[], b: number[]) => number} */
export function rangesIou(a, b) {
  const length = (/** @type {number[]} */ ranges) => ranges.reduce((sum, at, k) => (k % 2 ? sum + at : sum - at), 0);
  let shared = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    shared += Math.max(0, Math.min(a[i + 1], b[j + 1]) - Math.max(a[i], b[j]));
    if (a[i + 1] < b[j + 1]) i += 2;
    else j += 2;
  }
  return shared && shared / (length(a) + length(b) - shared);
}

/** Where each run of a mask ends. */
const runEnds = /** @type {WeakMap<Rle, Uint32Array>} */ (new WeakMap());

/** Whether the pixel in column x and row y is inside. It is quick from the second time on, for a pointer that moves.
 * @type {(rle: Rle, x: number, y: number) => boolean} */
export function hasPixel(rle, x, y) {
  let ends = runEnds.get(rle);
  if (!ends) {
    let end = 0;
    ends = Uint32Array.from(parseCounts(rle.counts), (run) => (end += run));
    runEnds.set(rle, ends);
  }
  const position = x * rle.size[0] + y;
  let low = 0, high = ends.length;      // the first run that ends after the position is in this range
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] > position) high = middle;
    else low = middle + 1;
  }
  return low % 2 === 1 && low < ends.length;
}

/** A mask as an RLE (rleToString in pycocotools). @param {Bitmap} mask @returns {Rle} */
export function encodeRle({size, data}) {
  const runs = /** @type {number[]} */ ([]);
  for (let position = 0, value = 0; position < data.length; value = 1 - value) {
    const next = data.indexOf(1 - value, position), end = next < 0 ? data.length : next;
    runs.push(end - position);
    position = end;
  }
  let counts = '';
  runs.forEach((run, index) => {
    let rest = index > 2 ? run - runs[index - 2] : run, isMore = true;
    while (isMore) {
      const bits = rest & 0x1f;
      rest >>= 5;
      isMore = rest !== (bits & 0x10 ? -1 : 0);
      counts += String.fromCharCode(bits + (isMore ? 0x20 : 0) + 48);
    }
  });
  return {size, counts};
}
