// @ts-check
// Requests for masks: one at a time, then the newest; replies to older interactions are dropped.
/** @import {Interaction} from '../core/types.js' */
/** @import {Call, Reply} from './server.js' */

const SLOW_MS = 400;            // users notice such a wait

/**
 * Creates the function that requests the mask of the newest interactions.
 * @param {object} options
 * @param {Call} options.ask
 * @param {() => {interactions: Interaction[], side: number, isCurrent: () => boolean} | null} options.current what to ask now
 * @param {(seq: number) => void} options.onAsk
 * @param {(text: string) => void} options.onSlow the wait is long; an empty text when it is over
 * @param {(reply: Reply) => void} options.onReply
 */
export function createSegmentRequests({ask, current, onAsk, onSlow, onReply}) {
  let isBusy = false, isStale = false, seq = 0;

  return async function request() {
    isStale = true;
    if (isBusy) return;
    isBusy = true;
    try {
      while (isStale) {
        isStale = false;
        const question = current();
        if (!question) break;
        const {interactions, side, isCurrent} = question;
        const slow = setTimeout(() => onSlow('Finding the mask…'), SLOW_MS);
        onAsk(++seq);
        const reply = await ask('segment', {seq, interactions, side}, () => onSlow('No answer yet, trying again…'));
        clearTimeout(slow);
        onSlow('');
        if (isCurrent()) onReply(reply);
      }
    } finally {
      isBusy = false;
    }
  };
}
