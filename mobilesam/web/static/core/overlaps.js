// @ts-check
/** @import {Bitmap, Exclusive, Rle} from './types.js' */
import {decodeRle, displaySize} from './rle.js';

/**
 * Masks without overlaps at one display size, as `mobilesam.objects.exclusive` computes them on the
 * server, so that the photo shows what is exported.
 * @param {{rle: Rle, predicted_iou: number | null}[]} items in order
 * @param {Exclusive} exclusive 'later': the last one gets a shared pixel; 'predicted_iou': the one with
 *   the highest predicted IoU, null below all numbers, the later of equals
 * @param {number} side the longest side at most
 * @returns {Bitmap[]} in the order of `items`
 */
export function withoutOverlaps(items, exclusive, side) {
  const sizes = items.map(({rle}) => displaySize(rle, side));
  const size = sizes.reduce((a, b) => (a[0] * a[1] >= b[0] * b[1] ? a : b), [1, 1]);
  const order = items.map((_, index) => index);
  /** @param {number} index */
  const rank = (index) => items[index].predicted_iou ?? -Infinity;
  if (exclusive === 'predicted_iou') order.sort((a, b) => (rank(a) === rank(b) ? a - b : rank(a) < rank(b) ? -1 : 1));
  const taken = new Uint8Array(size[0] * size[1]);
  /** @type {Bitmap[]} */
  const bitmaps = [];
  for (const index of order.reverse()) {
    const bitmap = decodeRle(items[index].rle, size), {data} = bitmap;
    for (let pixel = 0; pixel < data.length; pixel++) {
      if (taken[pixel]) data[pixel] = 0;
      else taken[pixel] = data[pixel];
    }
    bitmaps[index] = bitmap;
  }
  return bitmaps;
}
