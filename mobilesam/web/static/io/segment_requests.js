// @ts-check
// Requests for masks: one in flight, the newest wins, replies to older interactions are dropped.

const SLOW_MS = 400;            // a wait that a person notices

/**
 * @param {object} options
 * @param {import('./server.js').Call} options.call
 * @param {() => {token: string, interactions: object[], side: number, isCurrent: () => boolean} | null} options.current
 *   what to ask now; null where there is nothing to ask
 * @param {(seq: number) => void} options.onAsk
 * @param {(text: string) => void} options.onSlow - the wait is long; an empty text when it is over
 * @param {(reply: import('./server.js').Reply) => void} options.onReply
 * @param {() => Promise<boolean>} options.reopen - opens a photo again that the server no longer knows
 * @returns {() => void} asks for the mask of the newest interactions
 */
export function createSegmentRequests({call, current, onAsk, onSlow, onReply, reopen}) {
  let isBusy = false, isStale = false, seq = 0;

  /** @param {NonNullable<ReturnType<typeof current>>} question */
  async function answer({token, interactions, side, isCurrent}) {
    const slow = setTimeout(() => onSlow('Finding the mask…'), SLOW_MS);
    onAsk(++seq);
    try {
      const reply = await call('segment', {seq, token, interactions, side}, () => onSlow('No answer yet, trying again…'));
      if (!reply.ok && reply.expired) isStale = await reopen() || isStale;      // the same interactions, asked again
      else if (isCurrent()) onReply(reply);
    } finally {
      clearTimeout(slow);
      onSlow('');
    }
  }

  async function ask() {
    if (isBusy) { isStale = true; return; }
    const question = current();
    if (!question) return;
    isBusy = true;
    await answer(question).finally(() => { isBusy = false; });
    if (!isStale) return;
    isStale = false;
    ask();
  }
  return ask;
}
