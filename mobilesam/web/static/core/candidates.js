// Which candidate is the default one, as in mobilesam/candidates.py.

const FAINT = -2;               // a logit below it is background

/** The mean of |2 p - 1| where the logit is above -2; p is its probability. @param {Float32Array} logits */
export function confidence(logits) {
  let sum = 0, count = 0;
  for (const logit of logits) {
    if (logit <= FAINT) continue;
    sum += Math.abs(Math.tanh(logit / 2));
    count++;
  }
  return count && sum / count;
}

/** The index of the candidate with the highest predicted IoU plus `weight` times its confidence.
 * @type {(masks: Float32Array[], ious: number[], weight: number) => number} */
export function bestCandidate(masks, ious, weight) {
  if (masks.length === 1) return 0;
  const scores = ious.map((iou, index) => Math.fround(iou + (weight && weight * confidence(masks[index]))));
  return scores.indexOf(Math.max(...scores));
}
