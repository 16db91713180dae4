// Acts that wait for a mask or a photo: keeping an object and naming it, and what is done after that.

/** `current` returns what they wait for, such as the interactions that are edited; acts that wait for something else
 * are dropped. @template Awaited @param {() => Awaited} current */
export function createHeldActs(current) {
  let waiting = /** @type {{awaited: Awaited, acts: (() => void)[]} | null} */ (null);

  /** Puts an act behind those that wait; whether there are any. @param {() => void} act */
  function hold(act) {
    if (waiting?.awaited !== current()) return false;
    waiting.acts.push(act);
    return true;
  }

  function inTurn(/** @type {() => void} */ act) {
    if (!hold(act)) act();
  }

  return {
    hold, inTurn,
    /** Has an act, which is the first one, wait. @param {() => void} act */
    wait(act) { waiting = {awaited: current(), acts: [act]}; },
    /** Does what waits. Further acts wait again if one of these begins to. */
    release() {
      const acts = waiting?.awaited === current() ? waiting.acts : [];
      waiting = null;
      acts.forEach(inTurn);
    },
  };
}
