// The worker that decodes masks: it fetches the decoder with its weights when they are new, and the embedding of every photo.
/** @import {Prediction, Prompt} from '../core/replay.js' */
/** @import {Decoder} from '../decoder/instance.js' */
import {bestCandidate} from '../core/candidates.js';
import {localOutline, localReply} from '../core/local_reply.js';
import {isAmbiguous, modelPrompt} from '../core/replay.js';
import {createDecoder} from '../decoder/instance.js';

/** `open` is answered by `opened`, the others by `answered`, or each by `failed`: for one photo, or for good.
 * @typedef {{name: 'open', token: string, size: Size, offer: DecoderOffer} | {name: 'reply', query: ReplyQuery}
 *   | {name: 'outline', query: OutlineQuery}} Order
 * @typedef {{name: 'opened', token: string} | {name: 'answered', answer: Reply | Outline} | {name: 'failed', token: string | null}} Report */

// This module is <root>/<folder of static files>/io/decoder_worker.js.
const ROOT = new URL('../../', import.meta.url), DECODER = new URL('../decoder/', import.meta.url);
const MAX_PREDICTIONS = 12;     // of a photo that are kept, up to 0.8 MB each
const MASK_LENGTH = 256 * 256;
const SLOW_MS = 150;
const TRIALS = 3;               // one of so many decodes must be quicker: the machine may be busy for a moment

let loading = /** @type {{path: string, loaded: Promise<Decoder>} | null} */ (null);     // the newest decoder
let decoder = /** @type {Decoder | null} */ (null);
let photo = /** @type {{token: string, size: Size, offer: DecoderOffer} | null} */ (null);
let predictions = /** @type {Map<string, Prediction>} */ (new Map());
let decodes = 0, fastestMs = Infinity;

const report = (/** @type {Report} */ message) => self.postMessage(message);

/** @type {(url: URL, options?: RequestInit) => Promise<ArrayBuffer>} */
async function fetchBytes(url, options) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(`${url.pathname}: HTTP ${response.status}`);
  return response.arrayBuffer();
}

/** The decoder with the weights that the server offers: after a restart they may be others. */
function load(/** @type {DecoderOffer} */ {weights: {path, integrity}}) {
  if (loading?.path === path) return loading.loaded;
  const loaded = fetchBytes(new URL(path, ROOT), {integrity}).then(
    (weights) => createDecoder((name) => fetchBytes(new URL(name, DECODER)), weights));
  loading = {path, loaded};
  loaded.catch(() => { if (loading?.loaded === loaded) loading = null; });
  return loaded;
}

/** The embedding of a photo; null if the server refuses it, or sends something else. @type {(token: string, offer: DecoderOffer) => Promise<ArrayBuffer | null>} */
async function fetchEmbedding(token, {embedding}) {
  const options = {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({token})};
  const bytes = await fetchBytes(new URL(embedding.path, ROOT), options).catch(() => null);
  return bytes?.byteLength === embedding.bytes ? bytes : null;
}

/** @param {Order & {name: 'open'}} order */
async function open({token, size, offer}) {
  const opened = photo = {token, size, offer};
  const [loaded, embedding] = await Promise.all([load(offer), fetchEmbedding(token, offer)]);
  if (photo !== opened) return;
  if (!embedding) return report({name: 'failed', token});
  decoder = loaded;
  decoder.setPhoto(embedding);
  predictions = new Map();
  report({name: 'opened', token});
}

/** @type {(prompt: Prompt, maskInput: Float32Array | null) => Prediction} */
function decode(prompt, maskInput) {
  if (!decoder || !photo) throw new Error('No photo is open.');
  const {size, offer} = photo, startedAt = performance.now();
  const {logits, iouPredictions} = decoder.predict({...modelPrompt(prompt, offer.input_size, size), maskInput: maskInput ?? undefined});
  fastestMs = Math.min(fastestMs, performance.now() - startedAt);
  if (++decodes === TRIALS && fastestMs > SLOW_MS) throw new Error('Decoding takes too long.');
  if (!logits.every(Number.isFinite)) throw new Error('The logits are not finite.');
  const indices = isAmbiguous(prompt) ? [1, 2, 3] : [0];
  const masks = indices.map((index) => logits.slice(index * MASK_LENGTH, (index + 1) * MASK_LENGTH));
  const ious = indices.map((index) => iouPredictions[index]);
  return {masks, ious, best: bestCandidate(masks, ious, offer.confidence_weight)};
}

/** As `decode`; a prediction that was used lately is not computed again.
 * @type {(prompt: Prompt, maskInput: Float32Array | null, interactions: Interaction[]) => Prediction} */
function predict(prompt, maskInput, interactions) {
  const key = JSON.stringify(interactions), prediction = predictions.get(key) ?? decode(prompt, maskInput);
  predictions.delete(key);
  predictions.set(key, prediction);
  for (const [oldest] of predictions) if (predictions.size > MAX_PREDICTIONS) predictions.delete(oldest);
  return prediction;
}

/** @param {Exclude<Order, {name: 'open'}>} order */
function answer(order) {
  if (!photo) throw new Error('No photo is open.');
  const {size, offer} = photo;
  return order.name === 'reply' ? localReply(order.query, size, offer.input_size, predict)
    : localOutline(order.query, size, offer.input_size, predict);
}

self.addEventListener('message', async ({data}) => {
  const order = /** @type {Order} */ (data);
  try {
    if (order.name === 'open') await open(order);
    else report({name: 'answered', answer: answer(order)});
  } catch {
    report({name: 'failed', token: null});
  }
});
