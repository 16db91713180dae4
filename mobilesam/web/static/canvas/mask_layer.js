// @ts-check
// The generated masks on the photo, and the tool that picks one of them.
/** @import {GeneratedMask, Point, Size, Tool} from '../core/types.js' */
import {createMaskStack} from '../core/mask_stack.js';
import {decodeRle} from '../core/rle.js';
import {contextOf, createCanvas, resize} from './canvas2d.js';
import {paintMask} from './mask_painting.js';

// Twelve colours that are told apart side by side (Sasha Trubetskoy's), as [red, green, blue].
const COLOURS = [
  [230, 25, 75], [60, 180, 75], [255, 225, 25], [67, 99, 216], [245, 130, 49], [145, 30, 180],
  [66, 212, 244], [240, 50, 230], [191, 239, 69], [250, 190, 212], [70, 153, 144], [220, 190, 255],
];
const FILL_ALPHA = 0x6b000000, EDGE_ALPHA = 0xe6000000;

/** @param {number} side the longest side at which the masks are shown */
export function createMaskLayer(side) {
  const stack = createMaskStack(side);
  const overlay = createCanvas(1, 1), highlight = createCanvas(1, 1);
  let hovered = 0;

  function paint() {
    const {size: [height, width], top} = stack;
    resize(overlay, width, height);
    const context = contextOf(overlay), image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let x = 0, p = 0; x < width; x++) {
      for (let y = 0; y < height; y++, p++) {
        const id = top[p];
        if (!id) continue;
        const isWithin = (y === 0 || top[p - 1] === id) && (y === height - 1 || top[p + 1] === id)
          && (x === 0 || top[p - height] === id) && (x === width - 1 || top[p + height] === id);
        const [red, green, blue] = COLOURS[id % COLOURS.length];
        pixels[y * width + x] = (blue << 16 | green << 8 | red | (isWithin ? FILL_ALPHA : EDGE_ALPHA)) >>> 0;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** Makes the masks those of `ids`; `added` are the new ones.
   * @type {(ids: number[], added: GeneratedMask[]) => void} */
  function update(ids, added) {
    if (stack.update(ids, added) && stack.masks.length) paint();
    if (!stack.get(hovered)) hovered = 0;
  }

  return {
    get masks() { return stack.masks; },
    get hovered() { return hovered; },
    idAt: stack.idAt,
    update,
    clear() { update([], []); },
    /** Highlights the whole of a mask, also where smaller ones lie on it; 0 for none.
     * @type {(id: number) => void} */
    hover(id) {
      const mask = stack.get(id);
      if (mask && id !== hovered) paintMask(highlight, decodeRle(mask.rle, stack.size));
      hovered = mask ? id : 0;
    },
    /** Draws on a canvas on which the photo goes from one screenPoint to another.
     * @type {(context: CanvasRenderingContext2D, from: Point, to: Point) => void} */
    draw(context, from, to) {
      if (!stack.masks.length) return;
      const width = to.x - from.x, height = to.y - from.y;
      context.imageSmoothingEnabled = width < 2 * overlay.width;
      context.drawImage(overlay, from.x, from.y, width, height);
      if (hovered) context.drawImage(highlight, from.x, from.y, width, height);
    },
  };
}

/** @typedef {ReturnType<typeof createMaskLayer>} MaskLayer */

/**
 * The tool that highlights the mask under the pointer and picks it on a click.
 * @param {object} options
 * @param {MaskLayer} options.layer
 * @param {(id: number) => void} options.onPick
 * @param {(id: number) => void} options.onHover another mask is highlighted, 0: none
 * @returns {Tool}
 */
export function createMaskTool({layer, onPick, onHover}) {
  /** @type {(imagePoint: Point | null, photo: Size) => void} */
  function hover(imagePoint, photo) {
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
    cancel() {},
    draw() {},
    cursor() {},
    under(context, toScreen, photo) {
      layer.draw(context, toScreen({x: 0, y: 0}), toScreen({x: photo.width, y: photo.height}));
    },
  };
}
