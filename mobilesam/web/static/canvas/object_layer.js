// @ts-check
// The masks of the objects that are not edited, below the one that is.
/** @import {DrawnObject, Exclusive, Projection, Rle, Size} from '../core/types.js' */
/** @import {TracedMask} from './mask_painting.js' */
import {withoutOverlaps} from '../core/overlaps.js';
import {decodeForDisplay} from '../core/rle.js';
import {freshContext} from './canvas2d.js';
import {drawTraced, traceMask} from './mask_painting.js';

const FILL_ALPHA = 0.34;

/** '#rrggbb' as a pixel of a canvas.
 * @type {(colour: string) => number} */
function fillPixel(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return ((Math.round(FILL_ALPHA * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * Creates the layer; `canvas` shows it at fit, `draw` draws it into a close-up.
 * @param {HTMLCanvasElement} canvas
 * @param {number} displaySide
 */
export function createObjectLayer(canvas, displaySide) {
  /** @type {{traced: TracedMask, colour: string}[]} */
  let drawn = [];
  let painted = '', version = 0;
  /** @type {WeakMap<Rle, {colour: string, traced: TracedMask}>} */
  const cache = new WeakMap();

  /** @type {(object: DrawnObject) => {colour: string, traced: TracedMask}} */
  function cached({rle, colour}) {
    let entry = cache.get(rle);
    if (entry?.colour !== colour) {
      entry = {colour, traced: traceMask(decodeForDisplay(rle, displaySide), fillPixel(colour))};
      cache.set(rle, entry);
    }
    return entry;
  }

  /** @type {(context: CanvasRenderingContext2D, at: Projection, photo: Size) => void} */
  function draw(context, at, photo) {
    for (const {traced} of drawn) drawTraced(context, traced, at, photo);
    // All outlines are above all fills: where objects overlap, each can be followed.
    for (const {traced, colour} of drawn) drawTraced(context, traced, at, photo, [['rgba(0,0,0,.6)', 3.5], [colour, 2]]);
  }

  return {
    /** @type {(objects: DrawnObject[], exclusive: Exclusive) => void} */
    set(objects, exclusive) {
      version++;
      if (!exclusive || objects.length < 2) {
        drawn = objects.filter(({isShown}) => isShown).map(cached);
        return;
      }
      const bitmaps = withoutOverlaps(objects, exclusive, displaySide);
      drawn = objects.flatMap(({colour, isShown}, index) => (
        isShown ? [{traced: traceMask(bitmaps[index], fillPixel(colour)), colour}] : []));
    },
    draw,
    /** Paints the canvas that lies on the photo, if that has changed.
     * @type {(width: number, height: number, photo: Size) => void} */
    drawFit(width, height, photo) {
      const state = [version, width, height, photo.width, photo.height, window.devicePixelRatio].join();
      if (state === painted) return;
      painted = state;
      draw(freshContext(canvas, width, height), {scale: width / photo.width, left: 0, top: 0}, photo);
    },
  };
}

/** @typedef {ReturnType<typeof createObjectLayer>} ObjectLayer */
