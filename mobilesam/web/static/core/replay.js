// What is decoded for interactions, in the browser as by the server: mobilesam/interactions.py.

/** A prompt in pixels of the photo, and the logits that it refines. @typedef {{points: LabelledPoint[], box: Box | null}} Prompt */
/** The candidates for a prompt: their 256 x 256 logits and predicted IoUs, and the default one.
 * @typedef {{masks: Float32Array[], ious: number[], best: number}} Prediction */

/** Whether the browser can decode interactions: it knows no crops, and neither masks to edit nor strokes. */
export const isDecodable = (/** @type {Interaction[]} */ interactions) => interactions.every(({type}) => (
  type === 'point' || type === 'box' || type === 'candidate'));

/** Replays decodable interactions. A click refines the mask so far, whose logits become the mask input; a box starts again
 * from the prompt alone. `decode` also gets the interactions up to the prompt, by which a prediction can be cached.
 * @param {Interaction[]} interactions
 * @param {(prompt: Prompt, maskInput: Float32Array | null, interactions: Interaction[]) => Prediction} decode */
export function replay(interactions, decode) {
  let prompt = /** @type {Prompt} */ ({points: [], box: null});
  let prediction = /** @type {Prediction | null} */ (null), index = 0;
  const start = interactions.map(({type}) => type).lastIndexOf('box');
  interactions.forEach((item, n) => {
    if (item.type === 'candidate') index = item.index;
    if (item.type === 'point') prompt = {...prompt, points: [...prompt.points, item]};
    if (item.type === 'box') prompt = {...prompt, box: item.box};
    if (item.type === 'candidate' || n < start) return;
    prediction = decode(prompt, prediction && prediction.masks[index], interactions.slice(0, n + 1));
    index = prediction.best;
  });
  if (!prediction) throw new Error('There is nothing to decode.');
  return {prompt, prediction: /** @type {Prediction} */ (prediction), index};
}

/** Whether a prompt is ambiguous and gets three candidates: one point alone. */
export const isAmbiguous = (/** @type {Prompt} */ {points, box}) => points.length === 1 && !box;

/** The points and labels of a prompt as the decoder takes them, in pixels of the model; the corners of a box have 2 and 3.
 * @type {(prompt: Prompt, inputSize: [height: number, width: number], photo: Size) => {points: [x: number, y: number][], labels: number[]}} */
export function modelPrompt({points, box}, [inputHeight, inputWidth], {width, height}) {
  const corners = box ? [{x: box[0], y: box[1], label: 2}, {x: box[2], y: box[3], label: 3}] : [];
  const all = [...points, ...corners];
  return {
    points: all.map(({x, y}) => [x * (inputWidth / width), y * (inputHeight / height)]),
    labels: all.map(({label}) => label),
  };
}
