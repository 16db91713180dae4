// The browser's own answer to interactions, in the form of the server's.
import {cleanMask} from './cleanup.js';
import {fitted} from './geometry.js';
import {maskOf} from './logits.js';
import {outlineOf} from './outline.js';
import {replay} from './replay.js';
import {coverage, encodeRle} from './rle.js';

const MIN_SIDE = 64;

const rounded = (/** @type {number} */ value, /** @type {number} */ digits) => Math.round(value * 10 ** digits) / 10 ** digits;

/** @type {(query: ReplyQuery, photo: Size, inputSize: [height: number, width: number],
 *   decode: Parameters<typeof replay>[1]) => Reply} */
export function localReply({interactions, clean, side, thumbnailSide}, photo, inputSize, decode) {
  const startedAt = performance.now();
  const {prompt, prediction: {masks, ious}, index} = replay(interactions, decode);

  /** @type {(candidate: number, longSide: number) => Rle} */
  function rleOf(candidate, longSide) {
    const [width, height] = fitted(photo.width, photo.height, longSide), mask = maskOf(masks[candidate], inputSize, [height, width]);
    return encodeRle(clean ? cleanMask(mask, prompt.points, photo) : mask);
  }

  const rle = rleOf(index, Math.max(side, MIN_SIDE));
  const shown = masks.length > 1 ? ious : [];
  return {
    rle, coverage: rounded(coverage(rle), 4), index, predicted_iou: rounded(ious[index], 3),
    candidates: shown.map((iou, candidate) => ({rle: rleOf(candidate, thumbnailSide), predicted_iou: rounded(iou, 3)})),
    ms: rounded(performance.now() - startedAt, 1), isLocal: true,
  };
}

/** The outline of the mask for interactions.
 * @type {(query: OutlineQuery, photo: Size, inputSize: [height: number, width: number], decode: Parameters<typeof replay>[1]) => Outline} */
export function localOutline({interactions, clean}, photo, inputSize, decode) {
  const {prompt, prediction: {masks}, index} = replay(interactions, decode);
  return outlineOf(masks[index], inputSize, photo, clean ? prompt.points : null);
}
