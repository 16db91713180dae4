// @ts-check
/** @import {Interaction, UndoState} from './types.js' */

/**
 * Creates the undo stack of the interactions. Every change makes a new state, a list of interactions,
 * so that clearing can be undone like anything else.
 * @param {(interactions: Interaction[]) => void} onChange
 */
export function createUndoStack(onChange) {
  /** @type {Interaction[][]} */
  let states = [[]];
  let index = 0;

  /** @param {number} next */
  function go(next) {
    if (next < 0 || next >= states.length) return;
    index = next;
    onChange(states[index]);
  }

  /** @param {Interaction[]} interactions */
  function replace(interactions) {
    states = [...states.slice(0, index + 1), interactions];
    go(index + 1);
  }

  return {
    get interactions() { return states[index]; },
    get canUndo() { return index > 0; },
    get canRedo() { return index < states.length - 1; },
    /** @param {Interaction} interaction */
    push(interaction) { replace([...states[index], interaction]); },
    replace,
    clear() { if (states[index].length) replace([]); },
    undo() { go(index - 1); },
    redo() { go(index + 1); },
    /** @returns {UndoState} all states, so that `restore` brings back undo and redo too */
    save: () => ({states, index}),
    /** @param {UndoState} saved */
    restore(saved) {
      states = saved.states;
      go(saved.index);
    },
  };
}

/** @typedef {ReturnType<typeof createUndoStack>} UndoStack */
