/** Whether the interactions select anything. Negative points and erasing strokes alone would give an arbitrary mask. */
export const isAnswerable = (/** @type {Interaction[]} */ interactions) => interactions.some((item) => (
  item.type === 'box' || item.type === 'mask' || ('label' in item && item.label === 1)));

/** The crop that an object was begun in. @type {(interactions: Interaction[]) => SetCrop | undefined} */
export const cropIn = (interactions) => interactions.find((item) => item.type === 'crop');

/** The last interaction that is not the choice of a candidate. */
export const lastPrompt = (/** @type {Interaction[]} */ interactions) => (
  interactions.filter((item) => item.type !== 'candidate').pop());

/** The strokes that the mask for the `answered` interactions does not contain yet.
 * @type {(answered: Interaction[], interactions: Interaction[]) => Stroke[]} */
export function strokesSince(answered, interactions) {
  let strokes = /** @type {Stroke[]} */ ([]);
  let isSame = true;
  interactions.forEach((item, index) => {
    isSame &&= item === answered[index];  // false from there on, also after an undo further back
    if (isSame) return;
    if (item.type === 'box' || item.type === 'mask') strokes = [];  // start a new mask
    if (item.type === 'stroke') strokes.push(item);
  });
  return strokes;
}
