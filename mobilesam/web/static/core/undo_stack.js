/** Creates the undo stack of the interactions. Every change makes a new list, so that clearing can be undone too. */
export function createUndoStack(/** @type {(interactions: Interaction[]) => void} */ onChange) {
  let states = /** @type {Interaction[][]} */ ([[]]);
  let index = 0;

  function go(/** @type {number} */ next) {
    if (next < 0 || next >= states.length) return;
    index = next;
    onChange(states[index]);
  }

  function replace(/** @type {Interaction[]} */ interactions) {
    states = [...states.slice(0, index + 1), interactions];
    go(index + 1);
  }

  return {
    get interactions() { return states[index]; },
    get canUndo() { return index > 0; },
    get canRedo() { return index < states.length - 1; },
    push(/** @type {Interaction} */ interaction) { replace([...states[index], interaction]); },
    replace,
    clear() { if (states[index].length) replace([]); },
    undo() { go(index - 1); },
    redo() { go(index + 1); },
    save: () => ({states, index}),
    restore(/** @type {UndoState} */ saved) {
      states = saved.states;
      go(saved.index);
    },
  };
}

/** @typedef {ReturnType<typeof createUndoStack>} UndoStack */
