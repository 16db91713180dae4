/** Creates an observable store: one object that is replaced, never mutated.
 * @template {object} State */
export function createStore(/** @type {State} */ initial) {
  let state = Object.freeze({...initial});
  const listeners = /** @type {((state: Readonly<State>, previous: Readonly<State>) => void)[]} */ ([]);

  return {
    get: () => state,
    /** Merges a patch; listeners are called only if it changes a value. @param {Partial<State>} patch */
    set(patch) {
      const keys = /** @type {(keyof State)[]} */ (Object.keys(patch));
      if (keys.every((key) => Object.is(state[key], patch[key]))) return;
      const previous = state;
      state = Object.freeze({...state, ...patch});
      for (const listener of listeners) listener(state, previous);
    },
    /** Calls the listener now and after every change. */
    subscribe(/** @type {(state: Readonly<State>, previous: Readonly<State>) => void} */ listener) {
      listeners.push(listener);
      listener(state, state);
    },
  };
}
