// The generated masks on the photo, and the tool that picks one of them.
import {PALETTE, pixelOf} from '../core/palette.js';
import {decodeRle, displaySize, insideRanges} from '../core/rle.js';
import {createCanvas, paintPixels} from './canvas2d.js';
import {paintMask} from './mask_painting.js';

const FILL_PIXELS = PALETTE.map((colour) => pixelOf(colour, 0x6b)), EDGE_PIXELS = PALETTE.map((colour) => pixelOf(colour, 0xe6));
const colourIndex = (/** @type {number} */ id) => (id - 1) % PALETTE.length;

/** @param {number} side the longest side at which the masks are shown */
export function createMaskLayer(side) {
  const entries = /** @type {Map<number, {mask: GeneratedMask, ranges: number[]}>} */ (new Map());
  let size = /** @type {[height: number, width: number]} */ ([0, 0]);
  let top = new Uint32Array(0);  // the id of the uppermost mask at every pixel, column by column
  const overlay = createCanvas(1, 1), highlight = createCanvas(1, 1);
  let hovered = 0;

  /** Paints the masks, smaller ones above larger ones. */
  function paint() {
    const [height, width] = size;
    top = new Uint32Array(size[0] * size[1]);
    const largestFirst = [...entries.values()].sort((a, b) => b.mask.area - a.mask.area);
    for (const {mask: {id}, ranges} of largestFirst) {
      for (let k = 0; k < ranges.length; k += 2) top.fill(id, ranges[k], ranges[k + 1]);
    }
    const pixels = new Uint32Array(top.length);
    for (let x = 0, index = 0; x < width; x++) {
      for (let y = 0; y < height; y++, index++) {
        const id = top[index];
        if (!id) continue;
        const isWithin = (y === 0 || top[index - 1] === id) && (y === height - 1 || top[index + 1] === id)
          && (x === 0 || top[index - height] === id) && (x === width - 1 || top[index + height] === id);
        pixels[y * width + x] = (isWithin ? FILL_PIXELS : EDGE_PIXELS)[colourIndex(id)];
      }
    }
    paintPixels(overlay, size, pixels);
  }

  return {
    get masks() { return Array.from(entries.values(), ({mask}) => mask); },
    get hovered() { return hovered; },
    /** Adds masks and removes those that are not in `ids`. @type {(ids: number[], added: GeneratedMask[]) => void} */
    update(ids, added) {
      for (const mask of added) {
        size = displaySize(mask.rle, side);
        entries.set(mask.id, {mask, ranges: insideRanges(mask.rle, size)});
      }
      const removed = [...entries.keys()].filter((id) => !ids.includes(id));
      removed.forEach((id) => entries.delete(id));
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
      if (entry) paintMask(highlight, decodeRle(entry.mask.rle, size), PALETTE[colourIndex(id)]);
      hovered = id;
    },
    /** Draws on a photo with these corners. @type {(context: Context, from: Point, to: Point) => void} */
    draw(context, from, to) {
      const width = to.x - from.x, height = to.y - from.y;
      context.imageSmoothingEnabled = width < 2 * overlay.width;
      context.drawImage(overlay, from.x, from.y, width, height);
      if (hovered) context.drawImage(highlight, from.x, from.y, width, height);
    },
  };
}

/** Creates the tool that highlights the mask under the pointer and picks it on a click; `onHover` is called with 0
 * where there is none.
 * @param {{layer: ReturnType<typeof createMaskLayer>, onPick: (id: number) => void, onHover: (id: number) => void}} options
 * @returns {Tool} */
export function createMaskTool({layer, onPick, onHover}) {
  function hover(/** @type {Point | null} */ imagePoint, /** @type {Size} */ photo) {
    const id = imagePoint ? layer.idAt(imagePoint, photo) : 0;
    if (id === layer.hovered) return;
    layer.hover(id);
    onHover(id);
  }
  return {
    hover,
    begin({from, photo}) { hover(from, photo); },
    move({to, photo}) { hover(to, photo); },
    end({from, moved, isNegative, photo}) {
      const id = layer.idAt(from, photo);
      if (id && !moved && !isNegative) onPick(id);
    },
    draw(context, toScreen, gesture, photo) {
      layer.draw(context, toScreen({x: 0, y: 0}), toScreen({x: photo.width, y: photo.height}));
    },
  };
}
