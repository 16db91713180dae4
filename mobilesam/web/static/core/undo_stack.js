/** Creates a row of states with one that counts; changes can be undone and redone. `onChange` gets every state that counts.
 * @template State @param {State} initial @param {(state: State) => void} onChange */
export function createHistory(initial, onChange) {
  let states = [initial], index = 0;

  function go(/** @type {number} */ next) {
    if (next < 0 || next >= states.length) return;
    index = next;
    onChange(states[index]);
  }

  return {
    get current() { return states[index]; },
    get canUndo() { return index > 0; },
    get canRedo() { return index < states.length - 1; },
    replace(/** @type {State} */ state) {
      states = [...states.slice(0, index + 1), state];
      go(index + 1);
    },
    /** As `replace`, but undone together with the change before. @param {State} state */
    amend(state) {
      states = [...states.slice(0, index), state];
      go(index);
    },
    undo() { go(index - 1); },
    redo() { go(index + 1); },
    save: () => ({states, index}),
    restore(/** @type {{states: State[], index: number}} */ saved) {
      states = saved.states;
      go(saved.index);
    },
  };
}

/** Creates the undo stack of the interactions. Every change makes a new list, so that clearing can be undone too. */
export function createUndoStack(/** @type {(interactions: Interaction[]) => void} */ onChange) {
  const history = createHistory(/** @type {Interaction[]} */ ([]), onChange), {replace, undo, redo, save, restore} = history;
  return {
    get interactions() { return history.current; },
    get canUndo() { return history.canUndo; },
    get canRedo() { return history.canRedo; },
    push(/** @type {Interaction} */ interaction) { replace([...history.current, interaction]); },
    replace, undo, redo, save, restore,
    clear() { if (history.current.length) replace([]); },
  };
}

/** @typedef {ReturnType<typeof createUndoStack>} UndoStack */
