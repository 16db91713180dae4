/**
 * SAM's prompt encoder and mask decoder in the browser: decoder.c, compiled to WebAssembly.
 * Without DOM, so that a Worker can run it. Coordinates are pixels of the model's square.
 */

/**
 * The exports of decoder.c. A function without arguments returns a size, or the address of memory.
 * @typedef {{
 *   memory: WebAssembly.Memory,
 *   weight_values(): number, embedding_values(): number, max_points(): number, mask_side(): number, mask_count(): number,
 *   input(): number, coords(): number, labels(): number, mask(): number, logits(): number, ious(): number,
 *   load_weights(): number, load_photo(): number,
 *   prepare_image(hasMaskInput: number): void, decode(points: number): void,
 * }} Exports
 *
 * @typedef {object} Prompt
 * @property {number[][]} points  [x, y]; the corners of a box come last
 * @property {number[]} labels  1 or 0, and 2 and 3 for the top left and bottom right corner of a box
 * @property {Float32Array} [maskInput]  (256, 256) logits of an earlier prediction
 *
 * @typedef {object} Prediction
 * @property {Float32Array} logits  (4, 256, 256); the first mask is that of multimask_output=False
 * @property {Float32Array} iouPredictions  (4)
 *
 * @typedef {Awaited<ReturnType<typeof createDecoder>>} Decoder
 */

/** A module that is valid only where the browser knows relaxed SIMD: it swizzles a vector. */
const RELAXED_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0,
  65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11,
]);

const WARM_UP = {points: [[0, 0]], labels: [1]};

/** @param {ArrayLike<number>} values */
const areFinite = (values) => Array.prototype.every.call(values, Number.isFinite);

/**
 * @param {(name: string) => Promise<ArrayBuffer>} fetchBytes  fetches one of the .wasm files beside this one
 * @param {ArrayBuffer} weights  of `decoder_weights` in mobilesam/browser_decoder/tensors.py
 * @throws {Error} the weights are damaged, or the browser has no WebAssembly SIMD
 */
export async function createDecoder(fetchBytes, weights) {
  const name = WebAssembly.validate(RELAXED_SIMD) ? 'decoder-relaxed.wasm' : 'decoder.wasm';
  const {instance} = await WebAssembly.instantiate(await fetchBytes(name));
  const wasm = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
  const memory = wasm.memory.buffer;  // it never grows
  const maskInput = new Float32Array(memory, wasm.mask(), wasm.mask_side() ** 2);
  const logits = new Float32Array(memory, wasm.logits(), wasm.mask_count() * maskInput.length);
  const iouPredictions = new Float32Array(memory, wasm.ious(), wasm.mask_count());
  let hasPhoto = false;
  /** Of the prompt that `prepare_image` has prepared the image for; null if for none. @type {boolean | null} */
  let hasMaskInput = null;

  /** @param {ArrayBuffer} data @param {number} values @param {string} what */
  function write(data, values, what) {
    if (data.byteLength !== 2 * values) {
      throw new Error(`${what} has ${data.byteLength} bytes instead of ${2 * values}.`);
    }
    new Uint8Array(memory, wasm.input(), data.byteLength).set(new Uint8Array(data));
  }

  /** @param {Prompt} prompt */
  function check({points, labels, maskInput: newMask}) {
    if (!points.length || points.length > wasm.max_points() || labels.length !== points.length) {
      throw new Error(`A prompt has 1 to ${wasm.max_points()} points, each with a label.`);
    }
    if (!points.every((point) => point.length === 2 && areFinite(point))) {
      throw new Error('A point of a prompt is not two finite numbers.');
    }
    if (!labels.every((label) => [0, 1, 2, 3].includes(label))) {
      throw new Error('A label of a prompt is not 0, 1, 2 or 3.');
    }
    if (newMask && (newMask.length !== maskInput.length || !areFinite(newMask))) {
      throw new Error(`A mask input is not ${maskInput.length} finite numbers.`);
    }
  }

  /** Most prompts have the mask input of the one before. @param {Float32Array | undefined} newMask */
  function prepareImage(newMask) {
    const isNew = newMask?.some((logit, index) => logit !== maskInput[index]);
    if (hasMaskInput === Boolean(newMask) && !isNew) return;
    if (newMask) maskInput.set(newMask);
    hasMaskInput = Boolean(newMask);
    wasm.prepare_image(Number(hasMaskInput));
  }

  /** @param {Prompt} prompt @returns {Prediction} */
  function decode({points, labels, maskInput: newMask}) {
    prepareImage(newMask);
    new Float32Array(memory, wasm.coords(), 2 * points.length).set(points.flat());
    new Int32Array(memory, wasm.labels(), labels.length).set(labels);
    wasm.decode(points.length);
    if (!areFinite(iouPredictions)) throw new Error('The prediction is not finite.');
    return {logits: logits.slice(), iouPredictions: iouPredictions.slice()};
  }

  write(weights, wasm.weight_values(), 'The file of weights');
  if (!wasm.load_weights()) throw new Error('The weights are not finite.');
  decode(WARM_UP);  // the engine compiles slow code first, and fast code for what has run

  return {
    /**
     * @param {ArrayBuffer} embedding  of `embedding_bytes` in mobilesam/browser_decoder/tensors.py
     * @throws {Error} it is damaged; then there is no photo
     */
    setPhoto(embedding) {
      hasPhoto = false;
      hasMaskInput = null;
      write(embedding, wasm.embedding_values(), 'The embedding');
      if (!wasm.load_photo()) throw new Error('The embedding is not finite.');
      prepareImage(undefined);
      hasPhoto = true;
    },

    /**
     * @param {Prompt} prompt
     * @returns {Prediction}
     * @throws {Error} there is no photo, or the prompt is not a valid one
     */
    predict(prompt) {
      if (!hasPhoto) throw new Error('There is no photo to decode prompts on.');
      check(prompt);
      return decode(prompt);
    },
  };
}
