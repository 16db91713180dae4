// The outline of a mask straight from its logits: where they cross the threshold, between the pixels.
import {cleanMask} from './cleanup.js';
import {contoursOf} from './contours.js';
import {LOGITS_SIDE} from './logits.js';

/** The closed lines around a mask, in pixels of the photo, a corner for each side of a pixel of the logits.
 * @type {(logits: Float32Array, inputSize: [height: number, width: number], photo: Size, cleaned: LabelledPoint[] | null) => Outline} */
export function outlineOf(logits, [inputHeight, inputWidth], photo, cleaned) {
  const scale = LOGITS_SIDE / Math.max(inputHeight, inputWidth);
  const height = Math.ceil(inputHeight * scale), width = Math.ceil(inputWidth * scale);
  const at = (/** @type {number} */ x, /** @type {number} */ y) => logits[y * LOGITS_SIDE + x];
  const data = Uint8Array.from({length: height * width}, (_, k) => (at(Math.floor(k / height), k % height) > 0 ? 1 : 0));
  const mask = {size: /** @type {Bitmap['size']} */ ([height, width]), data};

  /** How far the threshold is from the side between two pixels. @type {(before: number, after: number) => number} */
  const offset = (before, after) => ((before > 0) === (after > 0) ? 0 : before / (before - after) - 0.5);

  /** Where the outline crosses the side of a pixel that begins at a corner. @type {(x: number, y: number, isDown: boolean) => Point} */
  function crossing(x, y, isDown) {
    const isBorder = isDown ? x === 0 || x === width : y === 0 || y === height;
    const by = isBorder ? 0 : isDown ? offset(at(x - 1, y), at(x, y)) : offset(at(x, y - 1), at(x, y));
    const [column, row] = isDown ? [x + by, y + 0.5] : [x + 0.5, y + by];
    return {
      x: Math.min(column / scale * photo.width / inputWidth, photo.width),
      y: Math.min(row / scale * photo.height / inputHeight, photo.height),
    };
  }

  return contoursOf(cleaned ? cleanMask(mask, cleaned, photo) : mask).map((corners) => corners.flatMap((from, index) => {
    const to = corners[(index + 1) % corners.length], isDown = from.x === to.x;
    const length = Math.abs(to.x - from.x) + Math.abs(to.y - from.y), isForward = to.x + to.y > from.x + from.y;
    return Array.from({length}, (_, k) => {
      const step = isForward ? k : length - 1 - k;
      return isDown ? crossing(from.x, Math.min(from.y, to.y) + step, true) : crossing(Math.min(from.x, to.x) + step, from.y, false);
    });
  }));
}
