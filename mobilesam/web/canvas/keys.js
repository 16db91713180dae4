// The keys of the page. Those of the crosshair need the focus on the photo: elsewhere the arrows scroll.

const ARROWS = {arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1]};
const KEY_COMMANDS = {
  '0': 'zoom-fit', '+': 'zoom-in', '=': 'zoom-in', '-': 'zoom-out', '_': 'zoom-out', '?': 'help',
  'p': 'tool-switch', '[': 'brush-smaller', ']': 'brush-larger',
  'n': 'next', 'e': 'take-up',
};

function listenToKeys(root, part, {commands, crosshair, choose, escape, giveUpOpening}) {
  function onPhoto(key, event) {
    if (ARROWS[key]) crosshair.step(...ARROWS[key], event.shiftKey);
    else if (key === 'enter') { if (!event.repeat) crosshair.mark(event.shiftKey); }
    else if (key === 'b') { if (!event.repeat) crosshair.corner(); }
    else return false;
    return true;
  }

  function anywhere(key) {
    if (key === 'escape') escape();
    else if (['1', '2', '3'].includes(key)) choose(Number(key) - 1);
    else if (KEY_COMMANDS[key]) commands[KEY_COMMANDS[key]]();
    else return false;
    return true;
  }

  document.addEventListener('keydown', (event) => {
    const target = event.target;
    if (target.closest && target.closest('input:not([type=range]), textarea, select, [contenteditable=true], dialog')) return;
    if (document.querySelector('.api-docs')) return;    // Gradio's own panel is open over the page
    if (root.querySelector('dialog[open]')) return;
    const key = event.key.toLowerCase(), command = event.ctrlKey || event.metaKey;
    if (root.dataset.state === 'opening') {
      if (key === 'escape') giveUpOpening();
      return;
    }
    if (command && key === 'z') event.shiftKey ? commands.redo() : commands.undo();
    else if (command && key === 'y') commands.redo();
    else if (command || event.altKey) return;
    else if (!(target === part.marks && onPhoto(key, event)) && !anywhere(key)) return;
    event.preventDefault();
  });
}
