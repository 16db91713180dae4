// @ts-check
// Automatic mask generation on the server: it computes only while the page asks for more, so leaving it
// is a pause.
/** @import {GeneratedMask} from '../core/types.js' */
/** @import {Call} from './server.js' */
import {wait} from './server.js';

const WAITING_MS = 400;         // while another generation computes
const MAX_RESTARTS = 2;

/** @typedef {'none' | 'running' | 'paused' | 'stopped' | 'finished'} Phase */
/** @typedef {Record<string, number>} Options */

/**
 * @param {object} handlers
 * @param {Call} handlers.call
 * @param {() => string | undefined} handlers.token of the open photo
 * @param {() => Promise<boolean>} handlers.reopen opens a photo again that the server no longer knows
 * @param {(progress: {phase: Phase, done: number, total: number, isRetrying: boolean}) => void} handlers.onProgress
 * @param {(ids: number[], added: GeneratedMask[]) => void} handlers.onMasks all ids there are now, and new masks
 * @param {() => void} handlers.onReset the masks so far are void
 * @param {(text: string) => void} handlers.onError
 */
export function createMaskGeneration({call, token, reopen, onProgress, onMasks, onReset, onError}) {
  /** @type {Phase} */
  let phase = 'none';
  let generation = fresh({});
  let loops = 0;                // counts the loops that ask; an older one ends

  /** @param {Options} options */
  function fresh(options) {
    return {token: token(), id: /** @type {string | null} */ (null), options, after: 0, done: 0, total: 0};
  }

  /** @param {Phase} next */
  function report(next, isRetrying = false) {
    phase = next;
    onProgress({phase, done: generation.done, total: generation.total, isRetrying});
  }

  /** @param {any} reply of the server function `everything`; the phase after it */
  function receive({generation: id, done, total, finished, ids, masks}) {
    Object.assign(generation, {id, done, total});
    generation.after = masks.reduce((/** @type {number} */ most, /** @type {GeneratedMask} */ mask) => Math.max(most, mask.id), generation.after);
    onMasks(ids, masks);
    const isComplete = finished && (!masks.length || ids.every((/** @type {number} */ each) => each <= generation.after));
    return isComplete ? 'finished' : 'running';
  }

  async function run() {
    const mine = ++loops;
    report('running');
    for (let restarts = 0; phase === 'running';) {
      const {token: photo, id, after, options} = generation;
      const query = {token: photo, generation: id, after, options};
      const reply = await call('everything', query, () => { if (mine === loops) report('running', true); });
      if (mine !== loops) return;
      if (reply.ok) {
        report(receive(reply));
        if (reply.waiting) await wait(WAITING_MS);
      } else if (reply.expired && restarts++ < MAX_RESTARTS && await reopen()) {
        if (mine !== loops) return;
        onReset();
        generation = fresh(options);
      } else {
        report('paused');
        onError(reply.error);
      }
      if (mine !== loops) return;
    }
  }

  /** Forgets the masks. */
  function reset() {
    loops++;
    generation = fresh({});
    onReset();
    report('none');
  }

  return {
    /**
     * Generates masks, or goes on where it was paused with the same options.
     * @param {Options} options
     */
    start(options) {
      const isKnown = !['none', 'stopped'].includes(phase) && JSON.stringify(options) === JSON.stringify(generation.options);
      if (isKnown && phase !== 'paused') return;
      if (!isKnown) {
        reset();
        generation = fresh(options);
      }
      run();
    },
    pause() {
      if (phase !== 'running') return;
      loops++;
      report('paused');
    },
    /** Ends it here; the masks so far stay. */
    stop() {
      if (phase !== 'running') return;
      loops++;
      const {token: photo, id} = generation;
      if (id) call('everything', {token: photo, generation: id, stop: true});
      report('stopped');
    },
    reset,
  };
}
