// Draws masks as pixels of a canvas, or as shapes that stay sharp at every zoom.
import {contoursOf} from '../core/contours.js';
import {pixelOf} from '../core/palette.js';
import {decodeForDisplay} from '../core/rle.js';
import {paintPixels} from './canvas2d.js';

const FILL_ALPHA = 0x6b, RIM_ALPHA = 0xd8;
const RIM_BRIGHTNESS = 0.5;
const EDGE_PIXEL = 0xffffffff;          // white

/** The fill of the mask that is edited, in the colour of its object, '#rrggbb'. */
export const maskFill = (/** @type {string} */ colour) => colour + FILL_ALPHA.toString(16);

/** Paints a mask in a colour with its outline, and gives the canvas the size of the mask. The outline is white just inside
 * the mask and dark just outside, so that it shows on any background.
 * @type {(canvas: HTMLCanvasElement, bitmap: Bitmap, colour: string) => void} */
export function paintMask(canvas, {size, data}, colour) {
  const [height, width] = size, pixels = new Uint32Array(data.length);
  const fill = pixelOf(colour, FILL_ALPHA), rim = pixelOf(colour, RIM_ALPHA, RIM_BRIGHTNESS);
  const first = Math.floor(data.indexOf(1) / height) - 1, last = Math.floor(data.lastIndexOf(1) / height) + 1;
  for (let x = Math.max(0, first); x < width && x <= last; x++) {
    for (let y = 0, index = x * height; y < height; y++, index++) {
      const up = y > 0 ? data[index - 1] : 0, down = y < height - 1 ? data[index + 1] : 0;
      const left = x > 0 ? data[index - height] : 0, right = x < width - 1 ? data[index + height] : 0;
      if (data[index]) pixels[y * width + x] = left & right & up & down ? fill : EDGE_PIXEL;
      else if (left | right | up | down) pixels[y * width + x] = rim;
    }
  }
  paintPixels(canvas, size, pixels);
}

/** Paints brush strokes, within the photo, on a canvas that contains only the mask; `place` is where the photo lies.
 * @type {(context: Context, strokes: Stroke[], colour: string, photo: Size, place: Size & {left: number, top: number}) => void} */
export function paintStrokes(context, strokes, colour, photo, {left, top, width, height}) {
  context.save();
  context.translate(left, top);
  context.scale(width / photo.width, height / photo.height);
  context.beginPath();
  context.rect(0, 0, photo.width, photo.height);
  context.clip();
  context.lineCap = context.lineJoin = 'round';
  for (const {path, radius, label} of strokes) {
    context.beginPath();
    context.moveTo(path[0][0] - 0.01, path[0][1]);  // a line of no length would not be drawn
    for (const [x, y] of path) context.lineTo(x, y);
    context.lineWidth = 2 * radius;
    // Erase first: where the mask is already, it must not become darker.
    context.globalCompositeOperation = 'destination-out';
    context.strokeStyle = '#000';
    context.stroke();
    if (!label) continue;
    context.globalCompositeOperation = 'source-over';
    context.strokeStyle = maskFill(colour);
    context.stroke();
  }
  context.restore();
}

export function maskPath(/** @type {Bitmap} */ bitmap) {
  const path = new Path2D();
  for (const [first, ...others] of contoursOf(bitmap)) {
    path.moveTo(first.x, first.y);
    for (const {x, y} of others) path.lineTo(x, y);
    path.closePath();
  }
  return {path, size: bitmap.size};
}

/** The path of an outline, rounded between its corners so that it is smooth at every zoom. @param {Outline} outline */
export function outlinePath(outline) {
  const path = new Path2D();
  for (const corners of outline) {
    const middles = corners.map(({x, y}, index) => {
      const before = corners.at(index - 1) ?? corners[0];
      return {x: (before.x + x) / 2, y: (before.y + y) / 2};
    });
    path.moveTo(middles[0].x, middles[0].y);
    corners.forEach(({x, y}, index) => {
      const next = middles[(index + 1) % middles.length];
      path.quadraticCurveTo(x, y, next.x, next.y);
    });
  }
  return path;
}

/** Creates a function that returns the path of a mask at display size, and caches it while the mask exists.
 * @type {(side: number) => (rle: Rle) => MaskPath} */
export function createMaskPaths(side) {
  const paths = /** @type {WeakMap<Rle, MaskPath>} */ (new WeakMap());
  return (rle) => {
    const path = paths.get(rle) ?? maskPath(decodeForDisplay(rle, side));
    paths.set(rle, path);
    return path;
  };
}

/** Fills a mask and draws lines around it, their widths in CSS pixels.
 * @type {(context: Context, path: MaskPath, projection: Projection,
 *   style: {fill?: string, lines?: [colour: string, width: number][]}) => void} */
export function drawMaskPath(context, {path, size: [height, width]}, {scale, left, top, photo}, {fill, lines = []}) {
  const scaleX = scale * photo.width / width;
  context.save();
  context.translate(left, top);
  context.scale(scaleX, scale * photo.height / height);
  if (fill) {
    context.fillStyle = fill;
    context.fill(path, 'evenodd');
  }
  for (const [colour, lineWidth] of lines) {
    context.strokeStyle = colour;
    context.lineWidth = lineWidth / scaleX;
    context.stroke(path);
  }
  context.restore();
}
