// The worker of the browser's decoder, with a server that the tests play: which weights decode.
import assert from 'node:assert/strict';
import {readFile} from 'node:fs/promises';
import {before, beforeEach, test} from 'node:test';

import {halves} from './masks.js';

const QUERY = {interactions: [{type: 'point', x: 150, y: 100, label: 1}], clean: false, side: 64, thumbnailSide: 64};
const EMBEDDING = halves(64 * 64 * 256, 9);
const files = new Map();        // what the server has, by path

let fetched, reports, send;

before(async () => {
  const wasm = new URL('../../mobilesam/web/static/decoder/decoder.wasm', import.meta.url);
  const {instance} = await WebAssembly.instantiate(await readFile(wasm));
  for (const seed of [1, 2]) files.set('weights-' + seed, halves(instance.exports.weight_values(), seed));
  globalThis.fetch = async (url) => {
    const name = url.pathname.split('/').at(-1);
    fetched.push(name);
    const body = name === 'embedding' ? EMBEDDING : name.endsWith('.wasm') ? await readFile(url) : files.get(name);
    return new Response(body ?? null, {status: body ? 200 : 404});
  };
  globalThis.self = {
    addEventListener: (_, listener) => { send = (data) => listener({data}); },
    postMessage: (report) => reports.push(report),
  };
});

beforeEach(async (t) => {
  [fetched, reports] = [[], []];
  await import('../../mobilesam/web/static/io/decoder_worker.js?' + t.name);   // a new worker
});

const open = (token, path) => send({name: 'open', token, size: {width: 300, height: 200}, offer: {
  weights: {path, integrity: ''}, embedding: {path: 'embedding', bytes: EMBEDDING.byteLength},
  input_size: [683, 1024], confidence_weight: 0,
}});
const weights = () => fetched.filter((name) => name.startsWith('weights'));

test('weights are fetched once, and others when the server has others', async () => {
  for (const [token, path] of [['a', 'weights-1'], ['b', 'weights-1'], ['c', 'weights-2']]) {
    await open(token, path);
    await send({name: 'reply', query: QUERY});
  }
  assert.deepEqual(weights(), ['weights-1', 'weights-2']);
  const [first, same, other] = reports.flatMap(({answer}) => (answer ? [answer.candidates] : []));
  assert.deepEqual(same, first);
  assert.notDeepEqual(other, first);
});

test('weights that did not arrive are fetched again', async () => {
  const arrived = files.get('weights-1');
  files.delete('weights-1');
  await open('a', 'weights-1');
  files.set('weights-1', arrived);
  await open('b', 'weights-1');
  assert.deepEqual(reports, [{name: 'failed', token: null}, {name: 'opened', token: 'b'}]);
});
