// The visible part of the photo and the masks when zoomed in, drawn at the resolution of the screen.
/** @import {ObjectLayer} from './object_layer.js' */
import {createCanvas, freshContext} from './canvas2d.js';
import {drawMaskPath, maskFill, paintStrokes} from './mask_painting.js';

/** The photo in several sizes in ascending order, the objects, and the mask that is edited with its colour and newer strokes.
 * @typedef {{pictures: Picture[], objects: ObjectLayer, mask: Rle | null, colour: string, strokes: Stroke[]}} Content */

const SHARP_FROM_PX = 4;        // photo pixels of that size are drawn as squares, smaller ones are smoothed

/** Creates the function that draws what is visible.
 * @type {(canvas: HTMLCanvasElement, pathOf: (rle: Rle) => MaskPath) => (projection: Projection, content: Content) => void} */
export function createCloseup(canvas, pathOf) {
  const maskCanvas = createCanvas(1, 1);  // separate: erasing must not affect the photo

  /** @type {(projection: Projection, content: Content) => void} */
  function drawMask(projection, {mask, colour, strokes}) {
    const {scale, left, top, width, height, photo} = projection, context = freshContext(maskCanvas, width, height);
    const lines = /** @type {[colour: string, width: number][]} */ ([['rgba(0,0,0,.6)', 5], [colour, 3.5], ['#fff', 1.5]]);
    if (mask) drawMaskPath(context, pathOf(mask), projection, {fill: maskFill(colour), lines});
    paintStrokes(context, strokes, colour, photo, {left, top, width: photo.width * scale, height: photo.height * scale});
  }

  return (projection, content) => {
    const {pictures, objects} = content;
    const {scale, left, top, width, height, photo} = projection, context = freshContext(canvas, width, height);
    const wanted = scale * (window.devicePixelRatio || 1) * photo.width;
    const picture = pictures.find((one) => one.width >= wanted) ?? pictures[pictures.length - 1];
    context.fillStyle = '#fff';
    context.fillRect(left, top, photo.width * scale, photo.height * scale);
    context.imageSmoothingEnabled = scale < SHARP_FROM_PX;
    context.drawImage(picture, left, top, photo.width * scale, photo.height * scale);
    objects.draw(context, projection);
    drawMask(projection, content);
    context.drawImage(maskCanvas, 0, 0, width, height);
  };
}
