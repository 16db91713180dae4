// Puts the cut-out on another background. This happens in the browser: background pictures are not uploaded.
import {contextOf, createCanvas} from '../canvas/canvas2d.js';
import {maskPath} from '../canvas/mask_painting.js';
import {decodeForDisplay} from '../core/rle.js';

/** @typedef {'none' | 'white' | 'black' | 'blur' | Picture} Background */

const BLUR_SIDE = 40;           // scaled down to this and smoothly up again, a photo is blurred
const STRIP_ROWS = 256;

/** @type {(picture: Picture, width: number, height: number) => HTMLCanvasElement} */
function scaledTo(picture, width, height) {
  const canvas = createCanvas(width, height), context = contextOf(canvas);
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0, width, height);
  return canvas;
}

/** Scales a picture and puts it on white, as the model sees transparent photos.
 * @type {(picture: Picture, width: number, height: number) => HTMLCanvasElement} */
export function onWhite(picture, width, height) {
  const canvas = scaledTo(picture, width, height), context = contextOf(canvas);
  context.globalCompositeOperation = 'destination-over';
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  return canvas;
}

/** Blurs by halving and doubling: not every browser has the filter, and this looks the same at every size.
 * @type {(picture: Picture, width: number, height: number) => HTMLCanvasElement} */
function blurred(picture, width, height) {
  let {width: w, height: h} = picture, current = picture;
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

/** A mask as a canvas that is opaque inside, with a longest side of at most `side`. */
export function maskStencil(/** @type {Rle} */ rle, /** @type {number} */ side) {
  const {path, size: [height, width]} = maskPath(decodeForDisplay(rle, side));
  const canvas = createCanvas(width, height);
  contextOf(canvas).fill(path, 'evenodd');
  return canvas;
}

/** A black and white picture as a canvas that is opaque where it is white. */
export function pictureStencil(/** @type {ImageBitmap} */ picture) {
  const {width, height} = picture, canvas = createCanvas(width, height), context = contextOf(canvas);
  context.drawImage(picture, 0, 0);
  for (let y = 0; y < height; y += STRIP_ROWS) {        // all at once would take hundreds of megabytes
    const strip = context.getImageData(0, y, width, Math.min(STRIP_ROWS, height - y));
    for (let p = 0; p < strip.data.length; p += 4) strip.data[p + 3] = strip.data[p];
    context.putImageData(strip, 0, y);
  }
  return canvas;
}

/** The part of a picture inside the stencil, on a background; a background picture fills all of it.
 * @type {(picture: Picture, stencil: HTMLCanvasElement, background: Background, width: number, height: number) => HTMLCanvasElement} */
export function composed(picture, stencil, background, width, height) {
  const canvas = onWhite(picture, width, height), context = contextOf(canvas);
  const behind = background === 'blur' ? blurred(canvas, width, height) : background;
  context.globalCompositeOperation = 'destination-in';
  context.drawImage(stencil, 0, 0, width, height);
  context.globalCompositeOperation = 'destination-over';
  if (typeof behind === 'string') {
    context.fillStyle = behind === 'none' ? 'transparent' : behind;
    context.fillRect(0, 0, width, height);
  } else {
    const scale = Math.max(width / behind.width, height / behind.height), w = behind.width * scale, h = behind.height * scale;
    context.drawImage(behind, (width - w) / 2, (height - h) / 2, w, h);
  }
  return canvas;
}
