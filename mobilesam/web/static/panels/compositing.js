// Puts the cut-out on another background. This happens in the browser: background pictures are not uploaded.
import {contextOf, createCanvas} from '../canvas/canvas2d.js';
import {maskPath} from '../canvas/mask_painting.js';
import {fitted} from '../core/geometry.js';
import {boundsOf, boxAround, covering, placed} from '../core/placement.js';
import {decodeForDisplay} from '../core/rle.js';

/** A colour ('#rrggbb'), the blurred photo, or a picture. @typedef {'none' | 'blur' | string | Picture} Background */
/** A picture of the object, its box in the photo, and the object's own. @typedef {{picture: Picture, box: Box, bounds: Box}} Cutout */

const BLUR_SIDE = 40;           // scaled down to this and smoothly up again, a photo is blurred
const BLURRED_SIDE = 1600;      // more pixels show no more of a blurred photo

export const wholeOf = (/** @type {Size} */ {width, height}) => /** @type {Box} */ ([0, 0, width, height]);

/** @type {(width: number, height: number) => [HTMLCanvasElement, Context]} */
function smoothCanvas(width, height) {
  const canvas = createCanvas(width, height), context = contextOf(canvas);
  context.imageSmoothingQuality = 'high';
  return [canvas, context];
}

/** @type {(picture: Picture, width: number, height: number) => HTMLCanvasElement} */
function scaledTo(picture, width, height) {
  const [canvas, context] = smoothCanvas(width, height);
  context.drawImage(picture, 0, 0, width, height);
  return canvas;
}

/** @type {(context: Context, picture: Picture, box: Box) => void} */
const drawIn = (context, picture, [x0, y0, x1, y1]) => context.drawImage(picture, x0, y0, x1 - x0, y1 - y0);

/** Blurs by halving and doubling: not every browser has the filter, and this looks the same at every size.
 * @type {(picture: HTMLCanvasElement) => HTMLCanvasElement} */
function blurred(picture) {
  const {width, height} = picture;
  let w = width, h = height, current = picture;
  while (Math.max(w, h) > BLUR_SIDE) {
    [w, h] = [Math.max(1, Math.round(w / 2)), Math.max(1, Math.round(h / 2))];
    current = scaledTo(current, w, h);
  }
  while (2 * Math.max(w, h) < Math.max(width, height)) {
    [w, h] = [2 * w, 2 * h];
    current = scaledTo(current, w, h);
  }
  return scaledTo(current, width, height);
}

/** The part of the photo within a frame, on white, as the model sees transparent photos. The frame is a box in pixels
 * of the photo, width and height are those of the canvas.
 * @type {(photo: Photo, frame: Box, width: number, height: number) => HTMLCanvasElement} */
export function framedPhoto(photo, [x0, y0, x1, y1], width, height) {
  const [canvas, context] = smoothCanvas(width, height);
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.setTransform(width / (x1 - x0), 0, 0, height / (y1 - y0), 0, 0);
  context.drawImage(photo.picture, -x0, -y0, photo.width, photo.height);
  return canvas;
}

/** The cut-out of masks at display size, with hard edges.
 * @type {(photo: Photo, rles: Rle[], side: number) => Cutout} */
export function previewCutout(photo, rles, side) {
  const [width, height] = fitted(photo.width, photo.height, side), box = wholeOf(photo);
  const stencil = createCanvas(width, height), picture = framedPhoto(photo, box, width, height);
  for (const rle of rles) {
    const {path, size} = maskPath(decodeForDisplay(rle, side)), context = contextOf(stencil);
    context.setTransform(width / size[1], 0, 0, height / size[0], 0, 0);
    context.fill(path, 'evenodd');
  }
  const context = contextOf(picture);
  context.resetTransform();
  context.globalCompositeOperation = 'destination-in';
  context.drawImage(stencil, 0, 0);
  const bounds = rles.map((rle) => boundsOf(rle, side, photo)).filter((one) => one !== null);
  return {picture, box, bounds: boxAround(bounds)};
}

/** A cut-out with a picture whose longest side is at most `side`. @type {(cutout: Cutout, side: number) => Cutout} */
export function displayed(cutout, side) {
  const {width, height} = cutout.picture;
  return {...cutout, picture: scaledTo(cutout.picture, ...fitted(width, height, side))};
}

/** What shows within a frame when the cut-out lies on a background; a background picture fills the photo.
 * @type {(photo: Photo, cutout: Cutout, background: Background, placement: Placement, frame: Box, width: number,
 *   height: number) => HTMLCanvasElement} */
export function composed(photo, cutout, background, placement, frame, width, height) {
  const [canvas, context] = smoothCanvas(width, height), [left, top, right, bottom] = frame;
  const scaleX = width / (right - left), scaleY = height / (bottom - top);
  /** @type {(box: Box) => Box} */
  const onCanvas = ([x0, y0, x1, y1]) => [(x0 - left) * scaleX, (y0 - top) * scaleY, (x1 - left) * scaleX, (y1 - top) * scaleY];

  if (background === 'blur') {
    const box = wholeOf(photo), small = framedPhoto(photo, box, ...fitted(photo.width, photo.height, BLURRED_SIDE));
    drawIn(context, blurred(small), onCanvas(box));
  } else if (typeof background === 'string') {
    context.fillStyle = background === 'none' ? 'transparent' : background;
    context.fillRect(0, 0, width, height);
  } else {
    drawIn(context, background, onCanvas(covering(background, photo)));
  }
  drawIn(context, cutout.picture, onCanvas(placed(cutout.box, cutout.bounds, placement)));
  return canvas;
}
