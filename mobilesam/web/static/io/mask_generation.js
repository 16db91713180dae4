// @ts-check
// Automatic mask generation: the server computes only while the page asks for more, so leaving it is a pause.
/** @import {GeneratedMask} from '../core/types.js' */
/** @import {Call} from './server.js' */
import {wait} from './server.js';

const WAITING_MS = 400;         // while another generation computes
const MAX_RESTARTS = 2;

/** @typedef {'none' | 'running' | 'paused' | 'stopped' | 'finished'} Phase */
/** @typedef {Record<string, number>} Options */

/**
 * @param {object} handlers
 * @param {Call} handlers.ask
 * @param {(progress: {phase: Phase, done: number, total: number, isRetrying: boolean}) => void} handlers.onProgress
 * @param {(ids: number[], added: GeneratedMask[]) => void} handlers.onMasks all ids there are now, and new masks
 * @param {(text: string) => void} handlers.onError
 */
export function createMaskGeneration({ask, onProgress, onMasks, onError}) {
  /** @type {Phase} */
  let phase = 'none';
  let state = fresh({});
  let loops = 0;                // counts the loops that ask; an older one ends

  /** @param {Options} options */
  function fresh(options) {
    return {generation: /** @type {string | null} */ (null), options, after: 0, done: 0, total: 0};
  }

  /** @param {Phase} next */
  function report(next, isRetrying = false) {
    phase = next;
    onProgress({phase, done: state.done, total: state.total, isRetrying});
  }

  /** @param {Phase} next */
  function end(next) {
    loops++;
    report(next);
  }

  /** @param {Options} options */
  function restart(options) {
    state = fresh(options);
    onMasks([], []);
  }

  /** Takes a reply of the server function `everything`; the phase after it. @param {any} reply */
  function receive({generation, done, total, finished, ids, masks}) {
    const after = Math.max(state.after, ...masks.map((/** @type {GeneratedMask} */ {id}) => id));
    Object.assign(state, {generation, done, total, after});
    onMasks(ids, masks);
    return finished && (!masks.length || Math.max(...ids) <= after) ? 'finished' : 'running';
  }

  async function run() {
    const mine = ++loops;
    report('running');
    for (let restarts = 0; phase === 'running';) {
      const {generation, options, after} = state;
      const reply = await ask('everything', {generation, options, after}, () => { if (mine === loops) report('running', true); });
      if (mine !== loops) return;
      if (reply.ok) {
        report(receive(reply));
        if (reply.waiting) await wait(WAITING_MS);
      } else if (reply.expired && restarts++ < MAX_RESTARTS) {
        restart(options);
      } else {
        report('paused');
        onError(reply.error);
      }
      if (mine !== loops) return;
    }
  }

  return {
    /** Generates masks, or goes on where it was paused with the same options. @param {Options} options */
    start(options) {
      const isKnown = !['none', 'stopped'].includes(phase) && JSON.stringify(options) === JSON.stringify(state.options);
      if (isKnown && phase !== 'paused') return;
      if (!isKnown) restart(options);
      run();
    },
    pause() { if (phase === 'running') end('paused'); },
    /** Ends it here; the masks so far stay. */
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
