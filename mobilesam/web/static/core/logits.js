// Mask logits of the decoder, 256 x 256 in the padded square of the model, and their mask at any size.

/** Pixels along a side of the logits. */
export const LOGITS_SIDE = 256;

/** For each target pixel along an axis, the two source pixels between which a bilinear filter samples, and the weight of the
 * second one; as OpenCV does, and torch with align_corners=False.
 * @type {(sourceLength: number, targetLength: number) => [first: number, second: number, weight: number][]} */
const samples = (sourceLength, targetLength) => Array.from({length: targetLength}, (_, target) => {
  const at = Math.min(Math.max((target + 0.5) * sourceLength / targetLength - 0.5, 0), sourceLength - 1);
  const first = Math.floor(at);
  return [first, Math.min(first + 1, sourceLength - 1), at - first];
});

/** The source pixels and weights that scale an axis of the logits to the model's `side`, cut the padding off after
 * `inputLength`, and scale the rest to `targetLength`: four for each target pixel, some of them equal. */
function axisTaps(/** @type {number} */ side, /** @type {number} */ inputLength, /** @type {number} */ targetLength) {
  const enlarged = samples(LOGITS_SIDE, side), scaled = samples(inputLength, targetLength);
  const pixels = new Uint16Array(4 * targetLength), weights = new Float64Array(4 * targetLength);
  scaled.forEach(([first, second, weight], target) => {
    [[first, 1 - weight], [second, weight]].forEach(([pixel, share], k) => {
      const [low, high, part] = enlarged[pixel];
      pixels.set([low, high], 4 * target + 2 * k);
      weights.set([share * (1 - part), share * part], 4 * target + 2 * k);
    });
  });
  return {pixels, weights};
}

/** The mask of logits, row by row, at a size: `upscale_logits` and the threshold 0 of mobilesam/predict.py. `inputSize` is
 * that of the photo within the model's square.
 * @type {(logits: Float32Array, inputSize: [height: number, width: number], size: [height: number, width: number]) => Bitmap} */
export function maskOf(logits, [inputHeight, inputWidth], [height, width]) {
  const side = Math.max(inputHeight, inputWidth);
  const across = axisTaps(side, inputWidth, width), down = axisTaps(side, inputHeight, height);
  const columns = new Float64Array(width * LOGITS_SIDE), data = new Uint8Array(height * width);
  for (let x = 0; x < width; x++) {
    const [a, b, c, d] = across.pixels.subarray(4 * x, 4 * x + 4), [p, q, r, s] = across.weights.subarray(4 * x, 4 * x + 4);
    for (let y = 0, row = 0; y < LOGITS_SIDE; y++, row += LOGITS_SIDE) {
      columns[x * LOGITS_SIDE + y] = p * logits[row + a] + q * logits[row + b] + r * logits[row + c] + s * logits[row + d];
    }
  }
  const {pixels, weights} = down;
  for (let x = 0, index = 0; x < width; x++) {
    const column = x * LOGITS_SIDE;
    for (let k = 0; k < 4 * height; k += 4, index++) {
      const value = weights[k] * columns[column + pixels[k]] + weights[k + 1] * columns[column + pixels[k + 1]]
        + weights[k + 2] * columns[column + pixels[k + 2]] + weights[k + 3] * columns[column + pixels[k + 3]];
      if (value > 0) data[index] = 1;
    }
  }
  return {size: [height, width], data};
}
