// The generated masks on the photo, hatched where objects have been kept, and the tool that ticks some of them.
import {PALETTE, pixelOf} from '../core/palette.js';
import {decodeRle, displaySize, insideRanges, rangesIou} from '../core/rle.js';
import {createCanvas, paintPixels} from './canvas2d.js';
import {drawCheck} from './markers.js';
import {paintMask} from './mask_painting.js';

const FILL = 0x6b, EDGE = 0xe6, TICKED_FILL = 0xa0;    // alpha
const PIXELS = PALETTE.map((colour) => [FILL, EDGE, TICKED_FILL].map((alpha) => pixelOf(colour, alpha)));
const TICKED_EDGE = 0xffffffff, HATCH = 0xa0ffffff;
const HATCH_SHARE = 0.016;       // of the side: the distance of its lines, a quarter of which is their width
const REPLACED_IOU = 0.5;       // a ticked mask and the better one that takes its place
const SAME_IOU = 0.95;          // an object's mask may be of another size than the generated one
const pixelsOf = (/** @type {number} */ id) => PIXELS[(id - 1) % PIXELS.length];

/** An object of the photo; one that has just been begun is not kept yet. @typedef {{id: number, rle: Rle, isKept: boolean}} KnownObject */

/** @param {number} side the longest side at which the masks are shown */
export function createMaskLayer(side) {
  /** `object` is the one with the same mask, if there is one. */
  const entries = /** @type {Map<number, {mask: GeneratedMask, ranges: number[], object: KnownObject | undefined}>} */ (new Map());
  let objects = /** @type {KnownObject[]} */ ([]);
  const objectRanges = /** @type {WeakMap<Rle, number[]>} */ (new WeakMap());
  let size = /** @type {[height: number, width: number]} */ ([0, 0]);
  let top = new Uint32Array(0);  // the id of the uppermost mask at every pixel, column by column
  const overlay = createCanvas(1, 1), highlight = createCanvas(1, 1);
  let hovered = 0;
  const ticked = /** @type {Set<number>} */ (new Set());
  let checks = /** @type {Point[]} */ ([]);  // the pixels at which the ticked masks have their check marks

  /** @type {(object: {rle: Rle}) => number[]} */
  function rangesOf({rle}) {
    const ranges = objectRanges.get(rle) ?? insideRanges(rle, size);
    objectRanges.set(rle, ranges);
    return ranges;
  }

  /** The object with the same mask. @param {number[]} ranges of the mask */
  const objectWith = (ranges) => objects.find((object) => rangesIou(ranges, rangesOf(object)) > SAME_IOU);

  /** The middle of the longest column of pixels of every ticked mask that shows. */
  function placeChecks() {
    const [height] = size, longest = /** @type {Map<number, {start: number, length: number}>} */ (new Map());
    for (let start = 0, end = 0; start < top.length; start = end) {
      const id = top[start], bottom = start - start % height + height;
      while (end < bottom && top[end] === id) end++;
      const length = end - start;
      if (ticked.has(id) && length > (longest.get(id)?.length ?? 0)) longest.set(id, {start, length});
    }
    return Array.from(longest.values(), ({start, length}) => (
      {x: Math.floor(start / height) + 0.5, y: start % height + length / 2}));
  }

  /** Paints the masks, smaller ones above larger ones. */
  function paint() {
    const [height, width] = size;
    top = new Uint32Array(size[0] * size[1]);
    const largestFirst = [...entries.values()].sort((a, b) => b.mask.area - a.mask.area);
    for (const {mask: {id}, ranges} of largestFirst) {
      for (let k = 0; k < ranges.length; k += 2) top.fill(id, ranges[k], ranges[k + 1]);
    }
    const pixels = new Uint32Array(top.length), isKept = new Uint8Array(top.length), gap = Math.max(6, Math.round(side * HATCH_SHARE));
    for (const ranges of objects.filter((object) => object.isKept).map(rangesOf)) {
      for (let k = 0; k < ranges.length; k += 2) isKept.fill(1, ranges[k], ranges[k + 1]);
    }
    for (let x = 0, index = 0; x < width; x++) {
      for (let y = 0; y < height; y++, index++) {
        const id = top[index], isHatched = isKept[index] && (x + y) % gap < gap / 4;
        if (!id || isHatched) {
          if (isHatched) pixels[y * width + x] = HATCH;
          continue;
        }
        const isWithin = (y === 0 || top[index - 1] === id) && (y === height - 1 || top[index + 1] === id)
          && (x === 0 || top[index - height] === id) && (x === width - 1 || top[index + height] === id);
        const [fill, edge, tickedFill] = pixelsOf(id), isTicked = ticked.has(id);
        pixels[y * width + x] = isTicked ? (isWithin ? tickedFill : TICKED_EDGE) : isWithin ? fill : edge;
      }
    }
    paintPixels(overlay, size, pixels);
    checks = placeChecks();
  }

  /** Removes a mask. If it is ticked, so is then the added one that took its place. */
  function remove(/** @type {number} */ id, /** @type {GeneratedMask[]} */ added) {
    const ranges = entries.get(id)?.ranges ?? [];
    entries.delete(id);
    if (!ticked.delete(id)) return;
    const better = added.find((mask) => rangesIou(ranges, entries.get(mask.id)?.ranges ?? []) > REPLACED_IOU);
    if (better) ticked.add(better.id);
  }

  return {
    get masks() { return Array.from(entries.values(), ({mask}) => mask); },
    get ticked() { return [...entries.values()].flatMap(({mask}) => (ticked.has(mask.id) ? [mask] : [])); },
    get hovered() { return entries.get(hovered)?.mask ?? null; },
    /** The masks that are no objects. */
    get others() { return [...entries.values()].flatMap(({mask, object}) => (object ? [] : [mask])); },
    /** Hatches those that were kept. @param {KnownObject[]} known */
    setObjects(known) {
      objects = known;
      for (const [id, entry] of entries) {
        entry.object = objectWith(entry.ranges);
        if (entry.object?.isKept) ticked.delete(id);
      }
      if (entries.size) paint();
    },
    /** The id of the object that a mask was kept as, or 0. @param {number} id of the mask */
    keptAs(id) {
      const object = entries.get(id)?.object;
      return object?.isKept ? object.id : 0;
    },
    /** Ticks a mask, or no longer. @param {number} id */
    toggle(id) {
      if (!ticked.delete(id)) ticked.add(id);
      paint();
    },
    untick() {
      ticked.clear();
      paint();
    },
    /** Adds masks and removes those that are not in `ids`. @type {(ids: number[], added: GeneratedMask[]) => void} */
    update(ids, added) {
      for (const mask of added) {
        size = displaySize(mask.rle, side);
        const ranges = insideRanges(mask.rle, size);
        entries.set(mask.id, {mask, ranges, object: objectWith(ranges)});
      }
      const removed = [...entries.keys()].filter((id) => !ids.includes(id));
      removed.forEach((id) => remove(id, added));
      if (!entries.has(hovered)) hovered = 0;
      if (added.length || removed.length) paint();
    },
    /** The id of the uppermost mask at an imagePoint, or 0. @type {(imagePoint: Point, photo: Size) => number} */
    idAt({x, y}, photo) {
      const [height, width] = size;
      const column = Math.floor(x / photo.width * width), row = Math.floor(y / photo.height * height);
      const isWithin = column >= 0 && row >= 0 && column < width && row < height;
      return isWithin ? top[column * height + row] : 0;
    },
    /** Highlights the whole of a mask, also where smaller ones lie on it; 0 for none. @param {number} id */
    hover(id) {
      const entry = entries.get(id);
      if (entry) paintMask(highlight, decodeRle(entry.mask.rle, size), PALETTE[(id - 1) % PALETTE.length]);
      hovered = id;
    },
    /** Draws on a photo with these corners. @type {(context: Context, from: Point, to: Point) => void} */
    draw(context, from, to) {
      const width = to.x - from.x, height = to.y - from.y;
      context.imageSmoothingEnabled = width < 2 * overlay.width;
      context.drawImage(overlay, from.x, from.y, width, height);
      if (hovered) context.drawImage(highlight, from.x, from.y, width, height);
      const [rows, columns] = size;
      for (const {x, y} of checks) drawCheck(context, {x: from.x + x / columns * width, y: from.y + y / rows * height});
    },
  };
}

/** Creates the tool that highlights the mask under the pointer and ticks it on a click; a click on one that was kept calls
 * `onKept` with the id of its object.
 * @param {{layer: ReturnType<typeof createMaskLayer>, onTick: () => void, onHover: () => void,
 *   onKept: (object: number) => void}} options
 * @returns {Tool} */
export function createMaskTool({layer, onTick, onHover, onKept}) {
  function hover(/** @type {Point | null} */ imagePoint, /** @type {Size} */ photo) {
    const id = imagePoint ? layer.idAt(imagePoint, photo) : 0;
    if (id === (layer.hovered?.id ?? 0)) return;
    layer.hover(id);
    onHover();
  }
  return {
    hover,
    begin({from, photo}) { hover(from, photo); },
    move({to, photo}) { hover(to, photo); },
    end({from, moved, isNegative, photo}) {
      const id = layer.idAt(from, photo), object = layer.keptAs(id);
      if (!id || moved || isNegative) return;
      if (object) return onKept(object);
      layer.toggle(id);
      onTick();
    },
    draw(context, toScreen, gesture, photo) {
      layer.draw(context, toScreen({x: 0, y: 0}), toScreen({x: photo.width, y: photo.height}));
    },
  };
}
