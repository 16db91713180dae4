// @ts-check
/** @import {Interaction, Stroke} from './types.js' */

/** Whether interactions select anything: with negative points and erasing strokes alone the decoder
 * would return an arbitrary mask.
 * @type {(interactions: Interaction[]) => boolean} */
export function isAnswerable(interactions) {
  return interactions.some((item) => item.type === 'box' || item.type === 'mask' || ('label' in item && item.label === 1));
}

/** The last interaction that is not the choice of a candidate.
 * @type {(interactions: Interaction[]) => Interaction | undefined} */
export function lastPrompt(interactions) {
  return interactions.filter((item) => item.type !== 'candidate').pop();
}

/** @param {Interaction[]} interactions */
export function countPathPoints(interactions) {
  return interactions.reduce((sum, item) => sum + (item.type === 'stroke' ? item.path.length : 0), 0);
}

/** The strokes that a mask does not contain yet; `answered` are the interactions that the mask answers.
 * @type {(answered: Interaction[], interactions: Interaction[]) => Stroke[]} */
export function strokesSince(answered, interactions) {
  /** @type {Stroke[]} */
  let strokes = [];
  let isSame = true;
  interactions.forEach((item, index) => {
    isSame &&= item === answered[index];      // false from there on, also after an undo further back
    if (isSame) return;
    if (item.type === 'box' || item.type === 'mask') strokes = [];       // start a new mask
    if (item.type === 'stroke') strokes.push(item);
  });
  return strokes;
}
