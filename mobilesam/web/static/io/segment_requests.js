// @ts-check
// Requests for masks: one in flight, the newest wins, replies to older interactions are dropped.
/** @import {Interaction} from '../core/types.js' */
/** @import {Call, Reply} from './server.js' */

const SLOW_MS = 400;            // a wait that a person notices

/** @typedef {{interactions: Interaction[], side: number, isCurrent: () => boolean}} Question */

/**
 * Creates the function that requests the mask of the newest interactions.
 * @param {object} options
 * @param {Call} options.ask
 * @param {() => Question | null} options.current what to ask now; null where there is nothing to ask
 * @param {(seq: number) => void} options.onAsk
 * @param {(text: string) => void} options.onSlow the wait is long; an empty text when it is over
 * @param {(reply: Reply) => void} options.onReply
 */
export function createSegmentRequests({ask, current, onAsk, onSlow, onReply}) {
  let isBusy = false, isStale = false, seq = 0;

  /** @param {Question} question */
  async function answer({interactions, side, isCurrent}) {
    const slow = setTimeout(() => onSlow('Finding the mask…'), SLOW_MS);
    onAsk(++seq);
    try {
      const reply = await ask('segment', {seq, interactions, side}, () => onSlow('No answer yet, trying again…'));
      if (isCurrent()) onReply(reply);
    } finally {
      clearTimeout(slow);
      onSlow('');
    }
  }

  return async function request() {
    if (isBusy) { isStale = true; return; }
    const question = current();
    if (!question) return;
    isBusy = true;
    await answer(question).finally(() => { isBusy = false; });
    if (!isStale) return;
    isStale = false;
    request();
  };
}
