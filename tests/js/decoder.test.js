import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {before, test} from 'node:test';

import {createDecoder} from '../../mobilesam/web/static/decoder/instance.js';
import {halves} from './masks.js';

const FOLDER = new URL('../../mobilesam/web/static/decoder/', import.meta.url);
const EMBEDDING_VALUES = 64 * 64 * 256;
const POINT = {points: [[300, 200]], labels: [1]};
const fetched = [];

async function fetchBytes(name) {
  fetched.push(name);
  return bufferOf(await readFile(new URL(name, FOLDER)));
}

const bufferOf = (bytes) => bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);

let weights, decoder;

before(async () => {
  const {instance} = await WebAssembly.instantiate(await readFile(new URL('decoder.wasm', FOLDER)));
  weights = halves(instance.exports.weight_values(), 1);
  decoder = await createDecoder(fetchBytes, weights);
  decoder.setPhoto(halves(EMBEDDING_VALUES, 2));
});

test('one file is fetched: the one that the engine can run', () => {
  assert.equal(fetched.length, 1);
  assert.match(fetched[0], /^decoder(-relaxed)?\.wasm$/);
});

test('an engine without relaxed SIMD gets the plain file', async (context) => {
  context.mock.method(WebAssembly, 'validate', () => false);
  await createDecoder(fetchBytes, weights);
  assert.equal(fetched.at(-1), 'decoder.wasm');
});

test('a prediction is four masks and their predicted IoUs, and stays as it is', () => {
  const first = decoder.predict(POINT);
  assert.deepEqual([first.logits.length, first.iouPredictions.length], [4 * 256 * 256, 4]);
  assert.ok(first.logits.every(Number.isFinite));
  const kept = first.logits.slice();
  const other = decoder.predict({points: [[900, 600]], labels: [1]});
  assert.deepEqual(first.logits, kept);
  assert.notDeepEqual(other.logits, kept);
  assert.deepEqual(decoder.predict(POINT), first);
});

test('labels, and whether points are the corners of a box, matter', () => {
  const points = [[100, 100], [500, 400]];
  const seen = [[1, 1], [1, 0], [2, 3]].map((labels) => decoder.predict({points, labels}).iouPredictions.join());
  assert.equal(new Set(seen).size, 3);
});

test('a mask input counts for the prompt that has it', () => {
  const without = decoder.predict(POINT);
  const maskInput = new Float32Array(256 * 256).fill(4);
  const once = decoder.predict({...POINT, maskInput});
  assert.notDeepEqual(once.logits, without.logits);
  assert.deepEqual(decoder.predict({...POINT, maskInput: maskInput.slice()}), once);
  maskInput[12345] = -50;
  assert.notDeepEqual(decoder.predict({...POINT, maskInput}).logits, once.logits);
  assert.deepEqual(decoder.predict(POINT), without);
});

test('another photo gives other masks, and the mask input of the former one is not kept', () => {
  const maskInput = new Float32Array(256 * 256).fill(4);
  const before = decoder.predict({...POINT, maskInput});
  decoder.setPhoto(halves(EMBEDDING_VALUES, 3));
  const after = decoder.predict({...POINT, maskInput});
  assert.notDeepEqual(after.logits, before.logits);
  decoder.setPhoto(halves(EMBEDDING_VALUES, 2));
  assert.deepEqual(decoder.predict({...POINT, maskInput}), before);
});

for (const [name, prompt, message] of [
  ['no point', {points: [], labels: []}, /1 to 66 points/],
  ['too many points', {points: Array(67).fill([1, 1]), labels: Array(67).fill(1)}, /1 to 66 points/],
  ['a missing label', {points: [[1, 1], [2, 2]], labels: [1]}, /each with a label/],
  ['a coordinate that is not finite', {points: [[1, NaN]], labels: [1]}, /finite/],
  ['a coordinate that is missing', {points: [[1]], labels: [1]}, /finite/],
  ['a coordinate that is text', {points: [[1, '2']], labels: [1]}, /finite/],
  ['an unknown label', {points: [[1, 1]], labels: [-1]}, /label/],
  ['a short mask input', {...POINT, maskInput: new Float32Array(5)}, /mask input/],
  ['a mask input that is not finite', {...POINT, maskInput: new Float32Array(65536).fill(NaN)}, /mask input/],
]) {
  test(`${name} is an error, and the decoder goes on`, () => {
    const before = decoder.predict(POINT);
    assert.throws(() => decoder.predict(prompt), message);
    assert.deepEqual(decoder.predict(POINT), before);
  });
}

test('as many points as a prompt can have are decoded', () => {
  const points = Array.from({length: 66}, (_, index) => [index, 2 * index]);
  assert.ok(decoder.predict({points, labels: Array(66).fill(1)}).logits.every(Number.isFinite));
});

test('a damaged embedding is an error, and leaves no photo', () => {
  const notFinite = new Uint16Array(halves(EMBEDDING_VALUES, 2));
  notFinite[1048575] = 0x7e00;
  for (const [embedding, message] of [[notFinite.buffer, /not finite/], [new ArrayBuffer(8), /8 bytes instead of 2097152/]]) {
    assert.throws(() => decoder.setPhoto(embedding), message);
    assert.throws(() => decoder.predict(POINT), /no photo/);
  }
  decoder.setPhoto(halves(EMBEDDING_VALUES, 2));
  decoder.predict(POINT);
});

test('damaged weights are an error', async () => {
  await assert.rejects(createDecoder(fetchBytes, weights.slice(2)), /file of weights has \d+ bytes/);
  const notFinite = new Uint16Array(weights.slice(0));
  notFinite[77] = 0xfc00;
  await assert.rejects(createDecoder(fetchBytes, notFinite.buffer), /not finite/);
});

test('a prediction that overflows is an error', async () => {
  const large = await createDecoder(fetchBytes, new Uint16Array(weights).map((half) => half | 0x7800).buffer);
  large.setPhoto(halves(EMBEDDING_VALUES, 2));
  large.predict(POINT);
  const maskInput = new Float32Array(256 * 256).fill(3e38);
  assert.throws(() => large.predict({...POINT, maskInput}), /not finite/);
  large.predict(POINT);
});
