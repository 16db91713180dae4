// @ts-check
// The visible part of the photo and the masks when zoomed in, drawn at the resolution of the screen.
/** @import {Bitmap, Projection, Stroke} from '../core/types.js' */
/** @import {MaskShape} from './mask_painting.js' */
/** @import {ObjectLayer} from './object_layer.js' */
import {createCanvas, freshContext} from './canvas2d.js';
import {MASK_FILL, drawShape, maskShape, paintStrokes} from './mask_painting.js';

/** A picture of the whole photo. @typedef {HTMLCanvasElement | ImageBitmap} Picture */
/** What the stage shows: the photo in several sizes in ascending order, the other objects, and the mask that
 * is edited with the strokes that it does not contain yet.
 * @typedef {{pictures: Picture[], objects: ObjectLayer, mask: Bitmap, strokes: Stroke[]}} Content */

const SHARP_FROM_PX = 4;        // photo pixels of that size are drawn as squares, smaller ones are smoothed
/** @type {{fill: string, lines: [colour: string, width: number][]}} */
const MASK_STYLE = {fill: MASK_FILL, lines: [['rgb(10,74,160)', 3], ['#fff', 1.5]]};

/** Draws the part of a picture that is on the canvas.
 * @type {(context: CanvasRenderingContext2D, picture: Picture, projection: Projection) => void} */
function drawVisible(context, picture, {scale, left, top, width, height, photo}) {
  const scaleX = scale * photo.width / picture.width, scaleY = scale * photo.height / picture.height;
  const x0 = Math.max(0, Math.floor(-left / scaleX)), x1 = Math.min(picture.width, Math.ceil((width - left) / scaleX));
  const y0 = Math.max(0, Math.floor(-top / scaleY)), y1 = Math.min(picture.height, Math.ceil((height - top) / scaleY));
  context.drawImage(picture, x0, y0, x1 - x0, y1 - y0,
    left + x0 * scaleX, top + y0 * scaleY, (x1 - x0) * scaleX, (y1 - y0) * scaleY);
}

/** Creates the function that draws what is visible.
 * @type {(canvas: HTMLCanvasElement) => (projection: Projection, content: Content) => void} */
export function createCloseup(canvas) {
  const maskCanvas = createCanvas(1, 1);        // separate: erasing must not affect the photo
  /** @type {Bitmap | null} */
  let drawnMask = null;
  /** @type {MaskShape} */
  let shape;

  /** @type {(projection: Projection, mask: Bitmap, strokes: Stroke[]) => void} */
  function drawMask(projection, mask, strokes) {
    if (mask !== drawnMask) shape = maskShape(mask);
    drawnMask = mask;
    const {scale, left, top, width, height, photo} = projection, context = freshContext(maskCanvas, width, height);
    drawShape(context, shape, projection, MASK_STYLE);
    context.save();
    context.translate(left, top);
    context.scale(scale, scale);
    context.beginPath();
    context.rect(0, 0, photo.width, photo.height);
    context.clip();
    paintStrokes(context, strokes);
    context.restore();
  }

  return (projection, {pictures, objects, mask, strokes}) => {
    const {scale, left, top, width, height, photo} = projection, context = freshContext(canvas, width, height);
    const wanted = scale * (window.devicePixelRatio || 1) * photo.width;
    const picture = pictures.find((one) => one.width >= wanted) ?? pictures[pictures.length - 1];
    context.fillStyle = '#fff';
    context.fillRect(left, top, photo.width * scale, photo.height * scale);
    context.imageSmoothingEnabled = scale < SHARP_FROM_PX;
    drawVisible(context, picture, projection);
    objects.draw(context, projection);
    drawMask(projection, mask, strokes);
    context.drawImage(maskCanvas, 0, 0, width, height);
  };
}
