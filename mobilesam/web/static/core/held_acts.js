// Acts that wait for an answer: keeping an object and naming it, and what is done after that.

/** `current` returns the interactions that are edited; acts that wait for others are dropped.
 * @param {() => Interaction[]} current */
export function createHeldActs(current) {
  let waiting = /** @type {{interactions: Interaction[], acts: (() => void)[]} | null} */ (null);

  /** Puts an act behind those that wait; whether there are any. @param {() => void} act */
  function hold(act) {
    if (waiting?.interactions !== current()) return false;
    waiting.acts.push(act);
    return true;
  }

  function inTurn(/** @type {() => void} */ act) {
    if (!hold(act)) act();
  }

  return {
    hold, inTurn,
    /** Has an act, which is the first one, wait for the answer. @param {() => void} act */
    wait(act) { waiting = {interactions: current(), acts: [act]}; },
    /** Does what waits. Further acts wait again if one of these begins to. */
    release() {
      const acts = waiting?.interactions === current() ? waiting.acts : [];
      waiting = null;
      acts.forEach(inTurn);
    },
  };
}
