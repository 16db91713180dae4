// @ts-check
// The visible part of photo and masks when zoomed in, drawn at the resolution of the screen: sharp photo
// pixels, and outlines as thin as at fit.
/** @import {Bitmap, Projection, Stroke, View, Viewport} from '../core/types.js' */
/** @import {ObjectLayer} from './object_layer.js' */
/** @import {TracedMask} from './mask_painting.js' */
import {projection} from '../core/viewport.js';
import {createCanvas, freshContext} from './canvas2d.js';
import {MASK_FILL, drawTraced, paintStrokes, traceMask} from './mask_painting.js';

/** A picture of the whole photo. @typedef {HTMLCanvasElement | ImageBitmap} Picture */

const SQUARE_FROM_PX = 4;       // photo pixels of that size are drawn as squares, smaller ones smoothly
const OUTLINE = 'rgb(10,74,160)';

/** Draws the part of a picture that is on the canvas.
 * @type {(context: CanvasRenderingContext2D, picture: Picture, projection: Projection, viewport: Viewport) => void} */
function drawVisible(context, picture, {scale, left, top}, {width, height, photo}) {
  const scaleX = scale * photo.width / picture.width, scaleY = scale * photo.height / picture.height;
  const x0 = Math.max(0, Math.floor(-left / scaleX)), x1 = Math.min(picture.width, Math.ceil((width - left) / scaleX));
  const y0 = Math.max(0, Math.floor(-top / scaleY)), y1 = Math.min(picture.height, Math.ceil((height - top) / scaleY));
  context.drawImage(picture, x0, y0, x1 - x0, y1 - y0,
    left + x0 * scaleX, top + y0 * scaleY, (x1 - x0) * scaleX, (y1 - y0) * scaleY);
}

/** @param {HTMLCanvasElement} canvas */
export function createCloseup(canvas) {
  const maskCanvas = createCanvas(1, 1);
  /** @type {Bitmap | null} */
  let mask = null;
  /** @type {TracedMask | null} */
  let traced = null;

  /** @type {(context: CanvasRenderingContext2D, at: Projection, viewport: Viewport) => void} */
  function drawMask(context, at, {photo}) {
    if (!mask) return;
    traced ??= traceMask(mask, MASK_FILL);
    drawTraced(context, traced, at, photo);
    drawTraced(context, traced, at, photo, [[OUTLINE, 3], ['#fff', 1.5]]);
  }

  /** Draws mask and strokes in a layer of their own: erasing must not affect the photo.
   * @type {(context: CanvasRenderingContext2D, at: Projection, viewport: Viewport, strokes: Stroke[]) => void} */
  function drawWithStrokes(context, at, viewport, strokes) {
    const {width, height, photo} = viewport, layer = freshContext(maskCanvas, width, height);
    drawMask(layer, at, viewport);
    layer.translate(at.left, at.top);
    layer.scale(at.scale, at.scale);
    layer.beginPath();
    layer.rect(0, 0, photo.width, photo.height);
    layer.save();
    layer.clip();
    paintStrokes(layer, strokes);
    layer.restore();
    context.drawImage(maskCanvas, 0, 0, width, height);
  }

  return {
    /** @param {Bitmap | null} bitmap */
    setMask(bitmap) { mask = bitmap; traced = null; },
    /** Draws what is in view; `pictures` is the photo in several sizes, the smallest first.
     * @type {(view: View, viewport: Viewport, pictures: Picture[], objects: ObjectLayer, strokes: Stroke[]) => void} */
    draw(view, viewport, pictures, objects, strokes) {
      const {width, height, photo} = viewport, context = freshContext(canvas, width, height);
      const at = projection(view, viewport), {scale, left, top} = at;
      const wanted = scale * (window.devicePixelRatio || 1) * photo.width;
      const picture = pictures.find((one) => one.width >= wanted) ?? pictures[pictures.length - 1];
      context.fillStyle = '#fff';
      context.fillRect(left, top, photo.width * scale, photo.height * scale);
      context.imageSmoothingEnabled = scale < SQUARE_FROM_PX;
      drawVisible(context, picture, at, viewport);
      objects.draw(context, at, photo);
      if (strokes.length) drawWithStrokes(context, at, viewport, strokes);
      else drawMask(context, at, viewport);
    },
  };
}
