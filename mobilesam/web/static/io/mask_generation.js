// Automatic mask generation: the server computes only while the page asks for more.
import {wait} from './server.js';

const WAITING_MS = 400;         // while another generation computes
const MAX_RESTARTS = 2;

/** @typedef {'none' | 'running' | 'paused' | 'stopped' | 'finished'} Phase */
/** @typedef {Record<string, number>} Options */

/** `onMasks` receives all ids that there are now, and the new masks.
 * @param {{ask: Call, onMasks: (ids: number[], added: GeneratedMask[]) => void, onError: (text: string) => void,
 *   onProgress: (progress: {phase: Phase, done: number, total: number, isRetrying: boolean}) => void}} handlers */
export function createMaskGeneration({ask, onProgress, onMasks, onError}) {
  /** @type {Phase} */
  let phase = 'none';
  let state = {generation: /** @type {string | null} */ (null), options: {}, after: 0, done: 0, total: 0};
  let runs = 0;                 // a new run ends the one before

  function report(/** @type {Phase} */ next, isRetrying = false) {
    phase = next;
    onProgress({phase, done: state.done, total: state.total, isRetrying});
  }

  function end(/** @type {Phase} */ next) {
    runs++;
    report(next);
  }

  function restart(/** @type {Options} */ options) {
    state = {generation: null, options, after: 0, done: 0, total: 0};
    onMasks([], []);
  }

  /** @param {any} reply of the server function `everything` */
  function receive({generation, done, total, finished, ids, masks}) {
    const after = Math.max(state.after, ...masks.map((/** @type {GeneratedMask} */ {id}) => id));
    Object.assign(state, {generation, done, total, after});
    onMasks(ids, masks);
    report(finished && (!masks.length || Math.max(...ids) <= after) ? 'finished' : 'running');
  }

  async function run() {
    const mine = ++runs;
    let restarts = 0;
    report('running');
    while (mine === runs && phase === 'running') {
      const {generation, options, after} = state;
      const reply = await ask('everything', {generation, options, after}, () => { if (mine === runs) report('running', true); });
      if (mine !== runs) return;
      if (reply.ok) {
        receive(reply);
        if (reply.waiting) await wait(WAITING_MS);
      } else if (reply.expired && restarts++ < MAX_RESTARTS) {
        restart(options);
      } else {
        report('paused');
        onError(reply.error);
      }
    }
  }

  return {
    /** Generates masks, or continues a paused generation with the same options. @param {Options} options */
    start(options) {
      const isKnown = !['none', 'stopped'].includes(phase) && JSON.stringify(options) === JSON.stringify(state.options);
      if (isKnown && phase !== 'paused') return;
      if (!isKnown) restart(options);
      run();
    },
    pause() { if (phase === 'running') end('paused'); },
    /** Ends the generation; its masks stay. */
    stop() {
      if (phase !== 'running') return;
      if (state.generation) ask('everything', {generation: state.generation, stop: true});
      end('stopped');
    },
    /** Forgets the masks. */
    reset() {
      restart({});
      end('none');
    },
  };
}
