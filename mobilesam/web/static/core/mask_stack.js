// @ts-check
// Generated masks on top of one another, the smallest uppermost: the mask that shows is the one picked.
/** @import {GeneratedMask, Point, Size} from './types.js' */
import {displaySize, insideRanges} from './rle.js';

/** @param {number} side the longest side at which the masks are shown */
export function createMaskStack(side) {
  /** @type {Map<number, {mask: GeneratedMask, ranges: number[]}>} */
  let entries = new Map();
  /** @type {[height: number, width: number]} */
  let size = [0, 0];
  let top = new Uint32Array(0);

  function stack() {
    top = new Uint32Array(size[0] * size[1]);
    const largestFirst = [...entries.values()].sort((a, b) => b.mask.area - a.mask.area);
    for (const {mask: {id}, ranges} of largestFirst) {
      for (let k = 0; k < ranges.length; k += 2) top.fill(id, ranges[k], ranges[k + 1]);
    }
  }

  return {
    get masks() { return [...entries.values()].map(({mask}) => mask); },
    /** [height, width] at which the masks are shown. */
    get size() { return size; },
    /** The id on top at every pixel, column by column; 0 where there is no mask. */
    get top() { return top; },
    /** @param {number} id */
    get: (id) => entries.get(id)?.mask,
    /** Makes the masks those of `ids`, of which `added` are new; whether that changed anything.
     * @type {(ids: number[], added: GeneratedMask[]) => boolean} */
    update(ids, added) {
      const previous = entries, known = new Map(entries);
      for (const mask of added) {
        size = displaySize(mask.rle, side);
        known.set(mask.id, {mask, ranges: insideRanges(mask.rle, size)});
      }
      entries = new Map(ids.flatMap((id) => {
        const entry = known.get(id);
        return entry ? [[id, entry]] : [];
      }));
      const isChanged = entries.size !== previous.size || [...entries.keys()].some((id) => !previous.has(id));
      if (isChanged) stack();
      return isChanged;
    },
    /** The id of the mask on top at an imagePoint, or 0.
     * @type {(imagePoint: Point, photo: Size) => number} */
    idAt({x, y}, photo) {
      const [height, width] = size;
      const column = Math.floor(x / photo.width * width), row = Math.floor(y / photo.height * height);
      const isWithin = column >= 0 && row >= 0 && column < width && row < height;
      return isWithin ? top[column * height + row] : 0;
    },
  };
}
