// @ts-check
/** @import {Bitmap} from './types.js' */
import {boundsOf} from './rle.js';

/** The edges between inside and outside as [x0, y0, x1, y1, ...] in pixels of the mask; edges that follow
 * one another in a line are one.
 * @type {(bitmap: Bitmap) => number[]} */
export function outlineEdges(bitmap) {
  const {size: [height], data} = bitmap, [x0, y0, x1, y1] = boundsOf(bitmap);
  /** @type {number[]} */
  const edges = [];
  /** @type {(x: number, y: number) => number} */
  const at = (x, y) => (x >= x0 && y >= y0 && x < x1 && y < y1 ? data[x * height + y] : 0);
  for (let x = x0; x <= x1; x++) {
    for (let y = y0, start = -1; y <= y1; y++) {
      const isEdge = y < y1 && at(x - 1, y) !== at(x, y);
      if (isEdge && start < 0) start = y;
      if (!isEdge && start >= 0) { edges.push(x, start, x, y); start = -1; }
    }
  }
  for (let y = y0; y <= y1; y++) {
    for (let x = x0, start = -1; x <= x1; x++) {
      const isEdge = x < x1 && at(x, y - 1) !== at(x, y);
      if (isEdge && start < 0) start = x;
      if (!isEdge && start >= 0) { edges.push(start, y, x, y); start = -1; }
    }
  }
  return edges;
}
