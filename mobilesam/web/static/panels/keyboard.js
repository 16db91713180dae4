// Keyboard shortcuts. Those of the crosshair need the focus on the photo: elsewhere the arrow keys scroll.
/** @import {Page} from './page.js' */
/** @import {Stage} from '../canvas/stage.js' */

/** @typedef {Record<string, (event: KeyboardEvent) => unknown>} Keys */

const TYPING = 'input:not([type=range]), textarea, select, [contenteditable=true], dialog';

/** @param {Page} page @param {Stage['crosshair']} crosshair @param {Record<string, () => unknown>} commands */
export function listenToKeys({root, refs, store}, crosshair, commands) {
  /** @type {Keys} */
  const onPhoto = {
    'arrowleft': ({shiftKey}) => crosshair.step(-1, 0, shiftKey),
    'arrowright': ({shiftKey}) => crosshair.step(1, 0, shiftKey),
    'arrowup': ({shiftKey}) => crosshair.step(0, -1, shiftKey),
    'arrowdown': ({shiftKey}) => crosshair.step(0, 1, shiftKey),
    'enter': ({repeat, shiftKey}) => repeat || crosshair.mark(shiftKey),
    'b': ({repeat}) => repeat || crosshair.corner(),
  };
  /** @type {Keys} */
  const anywhere = {
    '0': commands['zoom-fit'], '+': commands['zoom-in'], '=': commands['zoom-in'], '-': commands['zoom-out'], '_': commands['zoom-out'],
    'p': commands['tool-switch'], '[': commands['brush-smaller'], ']': commands['brush-larger'],
    '1': commands['choose-1'], '2': commands['choose-2'], '3': commands['choose-3'],
    'n': commands.next, 'e': commands.edit, '?': commands.help, 'escape': commands.escape,
  };
  /** @type {Keys} */
  const withCtrl = {'z': ({shiftKey}) => commands[shiftKey ? 'redo' : 'undo'](), 'y': commands.redo};

  document.addEventListener('keydown', (event) => {
    const {target} = event;
    if (target instanceof Element && target.closest(TYPING)) return;
    if (document.querySelector('.api-docs') || root.querySelector('dialog[open]')) return;    // .api-docs: Gradio's own panel
    const key = event.key.toLowerCase(), isCommand = event.ctrlKey || event.metaKey;
    if (store.get().isOpening && key !== 'escape') return;
    const act = isCommand ? withCtrl[key] : !event.altKey && ((target === refs.marks && onPhoto[key]) || anywhere[key]);
    if (!act) return;
    act(event);
    event.preventDefault();
  });
}
