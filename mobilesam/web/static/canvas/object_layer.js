// The masks of the objects that are not edited, below the mask that is edited.
import {withoutOverlaps} from '../core/overlaps.js';
import {freshContext} from './canvas2d.js';
import {drawMaskPath, maskPath} from './mask_painting.js';

const ALPHA = '57';             // of the fill, appended to '#rrggbb'
const RIM = 'rgba(0,0,0,.6)';

/** @type {(colour: string) => [colour: string, width: number][]} */
export const highlightLines = (colour) => [[RIM, 7], ['#fff', 5], [colour, 2.5]];

/** Creates the layer: `canvas` shows it at fit, `draw` draws it in a close-up.
 * @param {HTMLCanvasElement} canvas @param {number} displaySide @param {(rle: Rle) => MaskPath} pathOf */
export function createObjectLayer(canvas, displaySide, pathOf) {
  let drawn = /** @type {{path: MaskPath, colour: string}[]} */ ([]);
  let painted = '';             // what the canvas shows

  function draw(/** @type {Context} */ context, /** @type {Projection} */ projection) {
    for (const {path, colour} of drawn) drawMaskPath(context, path, projection, {fill: colour + ALPHA});
    // All outlines are above all fills, so that each can be followed where objects overlap.
    for (const {path, colour} of drawn) {
      drawMaskPath(context, path, projection, {lines: [[RIM, 3.5], [colour, 2]]});
    }
  }

  return {
    draw,
    set(/** @type {DrawnObject[]} */ objects, /** @type {Exclusive} */ exclusive) {
      const bitmaps = exclusive && objects.length > 1 ? withoutOverlaps(objects, exclusive, displaySide) : null;
      drawn = objects.flatMap(({rle, colour, isShown}, index) => (
        isShown ? [{path: bitmaps ? maskPath(bitmaps[index]) : pathOf(rle), colour}] : []));
      painted = '';
    },
    /** Paints the canvas that lies on the photo, if that has changed. @param {Projection} projection */
    drawFit({scale, photo}) {
      const width = scale * photo.width, height = scale * photo.height;
      const wanted = [width, height, window.devicePixelRatio].join();
      if (wanted === painted) return;
      painted = wanted;
      draw(freshContext(canvas, width, height), {scale, left: 0, top: 0, width, height, photo});
    },
  };
}

/** @typedef {ReturnType<typeof createObjectLayer>} ObjectLayer */
