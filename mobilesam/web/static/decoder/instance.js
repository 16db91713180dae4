// A stub until the decoder is there: a disc around the first point, or the box.
/** @param {(name: string) => Promise<ArrayBuffer>} fetchBytes @param {ArrayBuffer} weights */
export async function createDecoder(fetchBytes, weights) {
  if (!weights.byteLength) throw new Error('none');
  return {
    /** @param {ArrayBuffer} embedding @param {[number, number]} inputSize */
    setPhoto(embedding, inputSize) { void embedding; void inputSize; },
    /** @param {{points: [number, number][], labels: number[], maskInput?: Float32Array}} prompt */
    predict({points, labels}) {
      const logits = new Float32Array(4 * 65536), until = performance.now() + 40;
      for (let m = 0; m < 4; m++) for (let y = 0; y < 256; y++) for (let x = 0; x < 256; x++) {
        const box = labels.indexOf(2);
        const px = 4 * x + 2, py = 4 * y + 2;
        logits[m * 65536 + y * 256 + x] = box >= 0
          ? Math.min(px - points[box][0], points[box + 1][0] - px, py - points[box][1], points[box + 1][1] - py) / 8
          : (60 + 40 * m - Math.hypot(px - points[0][0], py - points[0][1])) / 8;
      }
      while (performance.now() < until);
      return {logits, iouPredictions: new Float32Array([0.9, 0.8, 0.95, 0.7])};
    },
  };
}
