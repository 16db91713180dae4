// The browser's own answers: what mobilesam/ makes of the same logits and interactions (golden_answers.json).
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';

import {bestCandidate, confidence} from '../../mobilesam/web/static/core/candidates.js';
import {cleanMask} from '../../mobilesam/web/static/core/cleanup.js';
import {localOutline, localReply} from '../../mobilesam/web/static/core/local_reply.js';
import {maskOf} from '../../mobilesam/web/static/core/logits.js';
import {outlineOf} from '../../mobilesam/web/static/core/outline.js';
import {isAmbiguous, isDecodable, modelPrompt, replay} from '../../mobilesam/web/static/core/replay.js';
import {decodeRle, encodeRle} from '../../mobilesam/web/static/core/rle.js';
import {bitmapOf, rowsOf} from './masks.js';

const golden = JSON.parse(readFileSync(new URL('./golden_answers.json', import.meta.url), 'utf8'));
const MAX_DIFFERENT_PX = 2;     // of a mask: OpenCV scales in float32
const PHOTO = {width: 300, height: 200}, INPUT_SIZE = [683, 1024];
const POINT = {type: 'point', x: 150, y: 80, label: 1};

/** Discs, a ring, specks and holes, as in tests/golden_answers.py. */
function logitsOf(seed) {
  return Float32Array.from({length: 256 * 256}, (_, index) => {
    const x = index % 256, y = Math.floor(index / 256), distance = (cx, cy) => Math.hypot(x - cx, y - cy);
    const large = 60 - distance(110 + seed, 90), ring = 8 - Math.abs(distance(200, 60) - 24), speck = 3 - distance(20, 30 + seed);
    const holes = Math.min(distance(120, 70) - 3, distance(90, 110) - 14);
    const noise = ((x * 73 + y * 151 + seed * 31) % 97 - 48) / 24;
    return Math.max(Math.min(large, holes), ring, speck) / (1 + seed) + noise * (0.3 + 0.4 * seed);
  });
}
const LOGITS = [0, 1, 2].map(logitsOf);

const differing = (a, b) => a.data.reduce((sum, value, index) => sum + (value !== b.data[index]), 0);

test('logits become the mask that the server makes, at every size and shape', () => {
  for (const {input_size, seed, size, mask} of golden.masks) {
    const made = maskOf(LOGITS[seed], input_size, size);
    assert.deepEqual(made.size, size);
    assert.ok(differing(made, decodeRle({size, counts: mask})) <= MAX_DIFFERENT_PX, `${input_size} at ${size}`);
  }
});

test('a mask is cleaned as on the server, to the pixel', () => {
  for (const {photo: [height, width], size, mask, cleaned} of golden.masks) {
    const points = golden.points.map(([x, y, label]) => ({x: x * width, y: y * height, label}));
    assert.equal(encodeRle(cleanMask(decodeRle({size, counts: mask}), points, {width, height})).counts, cleaned, size);
  }
});

test('parts and holes just below and just at the shares, at points and beside them, are treated as on the server', () => {
  for (const {size, photo: [height, width], points, mask, cleaned} of golden.cleanups) {
    const labelled = points.map(([x, y, label]) => ({x, y, label}));
    const made = encodeRle(cleanMask(decodeRle({size, counts: mask}), labelled, {width, height}));
    assert.equal(made.counts, cleaned, `${size} of ${height} x ${width} with ${points}`);
  }
});

test('an encoded mask is that of pycocotools', () => {
  for (const {size, mask} of golden.masks) assert.deepEqual(encodeRle(decodeRle({size, counts: mask})), {size, counts: mask});
  assert.deepEqual(rowsOf(decodeRle(encodeRle(bitmapOf(['#.', '.#'])))), ['#.', '.#']);
});

test('the default candidate is the one of the server', () => {
  golden.confidences.forEach((value, index) => assert.ok(Math.abs(confidence(LOGITS[index]) - value) < 1e-5));
  for (const [weight, best] of golden.best) assert.equal(bestCandidate(LOGITS, golden.ious, weight), best, weight);
  assert.equal(new Set(golden.best.map(([, best]) => best)).size, 2);
  assert.equal(confidence(new Float32Array(9).fill(-3)), 0);
});

test('what is decoded for interactions, and from which mask input, is as in the replay of the server', () => {
  for (const {interactions, decoded, chosen} of golden.replays) {
    const made = [];
    assert.ok(isDecodable(interactions));
    const {prediction, index} = replay(interactions, (prompt, maskInput) => {
      const {points, labels} = modelPrompt(prompt, INPUT_SIZE, PHOTO), count = isAmbiguous(prompt) ? 3 : 1;
      const masks = Array.from({length: count}, (_, k) => Float32Array.of(10 * made.length + k));
      made.push({points, labels, mask_input: maskInput && maskInput[0], masks: count});
      return {masks, ious: [], best: count === 3 ? 1 : 0};
    });
    assert.deepEqual(made, decoded);
    assert.equal(prediction.masks[index][0], chosen);
  }
});

test('crops, strokes and masks to edit are left to the server', () => {
  const box = [0, 0, 9, 9];
  for (const item of [{type: 'crop', box}, {type: 'stroke', path: [[1, 1]], radius: 2, label: 1}, {type: 'mask', rle: {}}]) {
    assert.ok(!isDecodable([item, POINT]));
  }
});

/** A prediction whose candidates are the three masks. */
const decode = () => ({masks: LOGITS, ious: golden.ious, best: 1});

test('a reply has the form of the server\'s, and says that it is not', () => {
  const query = {interactions: [POINT], clean: true, side: 1024, thumbnailSide: 96};
  const reply = localReply(query, PHOTO, INPUT_SIZE, decode);
  assert.deepEqual(reply.rle.size, [200, 300]);
  assert.deepEqual([reply.index, reply.predicted_iou, reply.isLocal], [1, 0.81, true]);
  assert.deepEqual(reply.candidates.map(({rle}) => rle.size), [[64, 96], [64, 96], [64, 96]]);
  assert.deepEqual(reply.candidates.map((one) => one.predicted_iou), [0.8, 0.81, 0.9]);
  const area = decodeRle(reply.rle).data.reduce((sum, value) => sum + value, 0);
  assert.equal(reply.coverage, Math.round(1e4 * area / 60000) / 1e4);
  const raw = localReply({...query, clean: false}, PHOTO, INPUT_SIZE, decode);
  assert.notEqual(raw.rle.counts, reply.rle.counts);
  assert.equal(raw.rle.counts, encodeRle(maskOf(LOGITS[1], INPUT_SIZE, [200, 300])).counts);
});

test('a chosen candidate is the mask, and a mask without choice has no candidates', () => {
  const query = {interactions: [POINT, {type: 'candidate', index: 2}], clean: false, side: 40, thumbnailSide: 96};
  const reply = localReply(query, PHOTO, INPUT_SIZE, decode);
  assert.equal(reply.rle.counts, encodeRle(maskOf(LOGITS[2], INPUT_SIZE, [43, 64])).counts);
  const single = localReply({...query, interactions: [POINT]}, PHOTO, INPUT_SIZE, () => ({masks: [LOGITS[0]], ious: [0.5], best: 0}));
  assert.deepEqual(single.candidates, []);
});

test('an outline lies where the logits cross zero between the pixels', () => {
  const radius = 40.3, disc = Float32Array.from({length: 65536}, (_, k) => radius - Math.hypot(k % 256 - 100, Math.floor(k / 256) - 80));
  const [outline, ...others] = outlineOf(disc, INPUT_SIZE, PHOTO, null);
  assert.equal(others.length, 0);
  for (const {x, y} of outline) {
    const column = x * 1024 / 300 / 4 - 0.5, row = y * 683 / 200 / 4 - 0.5;
    assert.ok(Math.abs(Math.hypot(column - 100, row - 80) - radius) < 0.02, `${column}, ${row}`);
  }
  const area = outline.reduce((sum, {x, y}, k) => {
    const next = outline[(k + 1) % outline.length];
    return sum + (x * next.y - next.x * y) / 2;
  }, 0);
  assert.ok(Math.abs(Math.abs(area) / (Math.PI * radius ** 2 * 16 * (300 / 1024) * (200 / 683)) - 1) < 0.01);
});

test('an outline ends at the edges of the photo', () => {
  const [all, ...others] = outlineOf(new Float32Array(65536).fill(1), INPUT_SIZE, PHOTO, null);
  assert.equal(others.length, 0);
  assert.deepEqual([Math.min, Math.max].flatMap((of) => [of(...all.map(({x}) => x)), of(...all.map(({y}) => y))]), [0, 0, 300, 200]);
  assert.deepEqual(outlineOf(new Float32Array(65536).fill(-1), INPUT_SIZE, PHOTO, null), []);
});

test('the outline of interactions is that of the clean mask', () => {
  const count = (clean) => localOutline({interactions: [POINT], clean}, PHOTO, INPUT_SIZE, decode).length;
  assert.ok(count(true) < count(false));
});
