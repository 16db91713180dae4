// Decodes masks in the browser, in a worker. It needs the decoder's weights once and the embedding of each photo; whatever
// goes wrong switches it off without a word until the user switches it off and on; the server answers as before.
/** @import {Order, Report} from './decoder_worker.js' */
import {isDecodable} from '../core/replay.js';

const TIMEOUT_MS = 2000;        // of an answer,
const TIMEOUT_PER_PROMPT_MS = 200;      // which may be a correction of many
// A function of WebAssembly that returns a vector (v128.const).
const SIMD = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 22, 1, 20, 0, 253, 12,
  ...new Array(16).fill(0), 11);

/** Whether this browser can decode, and its user is likely to gain by it. */
function isWorthwhile() {
  const {connection} = /** @type {{connection?: {saveData?: boolean}}} */ (navigator);
  return window.matchMedia('(any-hover: hover)').matches && !connection?.saveData
    && typeof WebAssembly === 'object' && WebAssembly.validate(SIMD);
}

/** Creates the decoder. `onState` gets its state whenever that changes.
 * @param {(state: DecoderState) => void} onState @returns {LocalDecoder} */
export function createLocalDecoder(onState) {
  let state = /** @type {DecoderState} */ ('idle');
  let worker = /** @type {Worker | null} */ (null);
  let token = '';               // of the photo that the worker has, or is opening
  let timer = 0;
  let running = /** @type {Job | null} */ (null);
  /** @typedef {{order: Exclude<Order, {name: 'open'}>, done: (answer: any) => void}} Job */
  /** The newest job of each kind. */
  const waiting = {reply: /** @type {Job | null} */ (null), outline: /** @type {Job | null} */ (null)};

  function setState(/** @type {DecoderState} */ next) {
    state = next;
    onState(state);
  }

  const send = (/** @type {Order} */ order) => worker?.postMessage(order);

  /** Ends the jobs without an answer. */
  function drop() {
    const dropped = [running, waiting.reply, waiting.outline];
    clearTimeout(timer);
    running = waiting.reply = waiting.outline = null;
    for (const job of dropped) job?.done(null);
  }

  /** Stops the worker. @param {'idle' | 'off'} next */
  function stop(next) {
    worker?.terminate();
    worker = null;
    token = '';
    setState(next);
    drop();
  }

  function runNext() {
    running = waiting.reply ?? waiting.outline;
    if (!running) return;
    const {order} = running;
    waiting[order.name] = null;
    timer = setTimeout(() => stop('off'), TIMEOUT_MS + TIMEOUT_PER_PROMPT_MS * order.query.interactions.length);
    send(order);
  }

  /** @type {(order: Job['order']) => Promise<any>} */
  const answer = (order) => new Promise((done) => {
    waiting[order.name]?.done(null);
    waiting[order.name] = {order, done};
    if (!running) runNext();
  });

  function receive(/** @type {Report} */ report) {
    if (report.name === 'answered') {
      clearTimeout(timer);
      const job = running;
      runNext();
      job?.done(report.answer);
    } else if (report.name === 'failed' && report.token === null) stop('off');
    else if (report.token === token) setState(report.name === 'opened' ? 'ready' : 'refused');
  }

  function startWorker() {
    const started = new Worker(new URL('./decoder_worker.js', import.meta.url), {type: 'module'});
    started.addEventListener('message', ({data}) => { if (worker === started) receive(data); });
    started.addEventListener('error', () => { if (worker === started) stop('off'); });
    return started;
  }

  return {
    open({token: wanted, width, height, decoder: offer}) {
      if (state === 'off' || !offer || wanted === token) return;
      if (!isWorthwhile()) return setState('off');
      worker ??= startWorker();
      token = wanted;
      drop();
      setState('loading');
      send({name: 'open', token, size: {width, height}, offer});
    },
    canAnswer: (photo, interactions) => state === 'ready' && photo?.token === token && isDecodable(interactions),
    reply: (query) => answer({name: 'reply', query}),
    outline: (query) => answer({name: 'outline', query}),
    stop: () => stop('idle'),
  };
}
