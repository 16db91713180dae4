// What the visitor did, as a list that only grows at its end; undo and redo move a cursor.

function createHistory(onChange) {
  let actions = [], undone = [];
  const changed = () => onChange(actions);
  return {
    get actions() { return actions; },
    get canUndo() { return actions.length > 0; },
    get canRedo() { return undone.length > 0; },
    push(action) { actions = actions.concat([action]); undone = []; changed(); },
    undo() {
      if (!actions.length) return;
      undone = undone.concat(actions.slice(-1));
      actions = actions.slice(0, -1);
      changed();
    },
    redo() {
      if (!undone.length) return;
      actions = actions.concat(undone.slice(-1));
      undone = undone.slice(0, -1);
      changed();
    },
    /** Clearing can be undone too: the cleared steps come back by redo. */
    clear() {
      if (!actions.length) return;
      undone = undone.concat(actions.slice().reverse());
      actions = [];
      changed();
    },
    reset() { actions = []; undone = []; changed(); },
    snapshot() { return {actions, undone}; },
    restore(saved) { ({actions, undone} = saved); changed(); },
  };
}
