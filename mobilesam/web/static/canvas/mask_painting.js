// @ts-check
// Draws masks: as pixels of a canvas, and traced, for any zoom. Pixels are 0xAABBGGRR.
/** @import {Bitmap, Projection, Size, Stroke} from '../core/types.js' */
import {outlineEdges} from '../core/outline.js';
import {boundsOf} from '../core/rle.js';
import {contextOf, createCanvas, resize} from './canvas2d.js';

export const MASK_FILL = 0x6bff8a1e;    // a clear blue at 42%
const MASK_TINT = 'rgba(30,138,255,.42)';       // the same, for strokes
const MASK_EDGE = 0xffffffff;           // white, just inside the mask
const MASK_RIM = 0xd8a04a0a;            // deep blue, just outside: the outline shows on any background

/** Paints a mask with its outline, and gives the canvas the size of the mask.
 * @type {(canvas: HTMLCanvasElement, bitmap: Bitmap) => void} */
export function paintMask(canvas, {size: [height, width], data}) {
  resize(canvas, width, height);
  const context = contextOf(canvas), image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let x = 0, p = 0; x < width; x++) {
    for (let y = 0; y < height; y++, p++) {
      const up = y > 0 ? data[p - 1] : 0, down = y < height - 1 ? data[p + 1] : 0;
      const left = x > 0 ? data[p - height] : 0, right = x < width - 1 ? data[p + height] : 0;
      if (data[p]) pixels[y * width + x] = left & right & up & down ? MASK_FILL : MASK_EDGE;
      else if (left | right | up | down) pixels[y * width + x] = MASK_RIM;
    }
  }
  context.putImageData(image, 0, 0);
}

/** Paints strokes of the brush into a layer that holds the mask only; its unit is a pixel of the photo.
 * @type {(context: CanvasRenderingContext2D, strokes: Stroke[]) => void} */
export function paintStrokes(context, strokes) {
  context.save();
  context.lineCap = context.lineJoin = 'round';
  for (const {path, radius, label} of strokes) {
    context.beginPath();
    context.moveTo(path[0][0] - 0.01, path[0][1]);      // a line of no length would not be drawn
    for (const [x, y] of path) context.lineTo(x, y);
    context.lineWidth = 2 * radius;
    // Erased first: where the mask is already, it must not become darker.
    context.globalCompositeOperation = 'destination-out';
    context.strokeStyle = '#000';
    context.stroke();
    if (!label) continue;
    context.globalCompositeOperation = 'source-over';
    context.strokeStyle = MASK_TINT;
    context.stroke();
  }
  context.restore();
}

/**
 * A mask's fill, cropped to its bounds, and its outline, both in pixels of the mask.
 * @typedef {{fill: HTMLCanvasElement, x: number, y: number, outline: Path2D, size: [number, number]}} TracedMask
 */

/** @type {(bitmap: Bitmap, colour: number) => TracedMask} */
export function traceMask(bitmap, colour) {
  const {size: [height], data} = bitmap, [x0, y0, x1, y1] = boundsOf(bitmap);
  const outline = new Path2D(), edges = outlineEdges(bitmap);
  for (let k = 0; k < edges.length; k += 4) {
    outline.moveTo(edges[k], edges[k + 1]);
    outline.lineTo(edges[k + 2], edges[k + 3]);
  }
  const fill = createCanvas(Math.max(1, x1 - x0), Math.max(1, y1 - y0));
  const context = contextOf(fill), image = context.createImageData(fill.width, fill.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) if (data[x * height + y]) pixels[(y - y0) * fill.width + x - x0] = colour;
  }
  context.putImageData(image, 0, 0);
  return {fill, x: x0, y: y0, outline, size: bitmap.size};
}

/** Draws a traced mask's outline in lines [colour, width in CSS pixels], or its fill if there are none.
 * @type {(context: CanvasRenderingContext2D, traced: TracedMask, at: Projection, photo: Size,
 *   lines?: [string, number][]) => void} */
export function drawTraced(context, traced, {scale, left, top}, photo, lines = []) {
  const [height, width] = traced.size, scaleX = scale * photo.width / width;
  context.save();
  context.translate(left, top);
  context.scale(scaleX, scale * photo.height / height);
  context.imageSmoothingEnabled = false;
  if (!lines.length) context.drawImage(traced.fill, traced.x, traced.y);
  context.lineCap = 'square';
  for (const [style, lineWidth] of lines) {
    context.strokeStyle = style;
    context.lineWidth = lineWidth / scaleX;
    context.stroke(traced.outline);
  }
  context.restore();
}
