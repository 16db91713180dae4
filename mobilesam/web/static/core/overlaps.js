import {decodeRle, displaySize} from './rle.js';

/** Masks without overlaps at one display size, in the same order, as `mobilesam.objects.exclusive` computes
 * them on the server. With 'later' the last mask gets a shared pixel, with 'predicted_iou' the one with the
 * highest predicted IoU (null is below all numbers), the later of equals.
 * @type {(items: {rle: Rle, predicted_iou: number | null}[], exclusive: Exclusive, side: number) => Bitmap[]} */
export function withoutOverlaps(items, exclusive, side) {
  const sizes = items.map(({rle}) => displaySize(rle, side));
  const size = sizes.reduce((a, b) => (a[0] * a[1] >= b[0] * b[1] ? a : b), [1, 1]);
  const order = [...items.keys()];
  const rank = (/** @type {number} */ index) => items[index].predicted_iou ?? -Number.MAX_VALUE;
  if (exclusive === 'predicted_iou') order.sort((a, b) => rank(a) - rank(b));
  const taken = new Uint8Array(size[0] * size[1]);
  const bitmaps = [];
  for (const index of order.reverse()) {
    const bitmap = bitmaps[index] = decodeRle(items[index].rle, size), {data} = bitmap;
    for (let pixel = 0; pixel < data.length; pixel++) {
      if (taken[pixel]) data[pixel] = 0;
      else taken[pixel] = data[pixel];
    }
  }
  return bitmaps;
}
