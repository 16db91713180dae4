// What the visitor did. Every change makes a new state, a list of actions; undo and redo move between
// the states, so that clearing can be undone like anything else.

function createHistory(onChange) {
  let states = [[]], at = 0;
  const go = (index) => {
    if (index < 0 || index >= states.length) return;
    at = index;
    onChange(states[at]);
  };
  const enter = (actions) => {
    states = states.slice(0, at + 1).concat([actions]);
    go(at + 1);
  };
  return {
    get actions() { return states[at]; },
    get canUndo() { return at > 0; },
    get canRedo() { return at < states.length - 1; },
    push(action) { enter(states[at].concat([action])); },
    /** Starts from other actions; undo brings back those that were there. */
    replace(actions) { enter(actions); },
    clear() { if (states[at].length) enter([]); },
    undo() { go(at - 1); },
    redo() { go(at + 1); },
    /** All states, to be restored later, and with them what can be undone and redone. */
    save: () => ({states, at}),
    restore(saved) { states = saved.states; go(saved.at); },
  };
}
