// @ts-check

/**
 * Creates an observable store: one object that is replaced, never mutated.
 * @template {object} State
 * @param {State} initial
 */
export function createStore(initial) {
  let state = Object.freeze({...initial});
  /** @type {Set<(state: Readonly<State>, previous: Readonly<State>) => void>} */
  const listeners = new Set();

  return {
    get: () => state,
    /** Merges a patch; listeners are called only if it changes a value.
     * @param {Partial<State>} patch */
    set(patch) {
      const keys = /** @type {(keyof State)[]} */ (Object.keys(patch));
      if (keys.every((key) => Object.is(state[key], patch[key]))) return;
      const previous = state;
      state = Object.freeze({...state, ...patch});
      for (const listener of [...listeners]) listener(state, previous);
    },
    /** Calls a listener after every change, until the returned function is called.
     * @param {(state: Readonly<State>, previous: Readonly<State>) => void} listener */
    subscribe(listener) {
      listeners.add(listener);
      return () => { listeners.delete(listener); };
    },
  };
}
