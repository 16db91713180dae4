// @ts-check
// Keyboard shortcuts. Those of the crosshair need the focus on the photo: elsewhere the arrow keys scroll.
/** @import {Page} from './page.js' */
/** @import {Stage} from '../canvas/stage.js' */

const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1],
});
const KEY_COMMANDS = /** @type {Record<string, string>} */ ({
  '0': 'zoom-fit', '+': 'zoom-in', '=': 'zoom-in', '-': 'zoom-out', '_': 'zoom-out', '?': 'help',
  'p': 'tool-switch', '[': 'brush-smaller', ']': 'brush-larger', 'n': 'next', 'e': 'edit', 'escape': 'escape',
});
const TYPING = 'input:not([type=range]), textarea, select, [contenteditable=true], dialog';

/**
 * @param {Page} page
 * @param {Stage['crosshair']} crosshair
 * @param {Record<string, () => void>} commands
 * @param {(index: number) => void} onChoose a candidate
 */
export function listenToKeys({root, refs, store}, crosshair, commands, onChoose) {
  /** @param {string} key @param {KeyboardEvent} event */
  function onPhoto(key, {shiftKey, repeat}) {
    if (ARROWS[key]) crosshair.step(...ARROWS[key], shiftKey);
    else if (key === 'enter') { if (!repeat) crosshair.mark(shiftKey); }
    else if (key === 'b') { if (!repeat) crosshair.corner(); }
    else return false;
    return true;
  }

  /** @param {string} key */
  function anywhere(key) {
    if (['1', '2', '3'].includes(key)) onChoose(Number(key) - 1);
    else if (KEY_COMMANDS[key]) commands[KEY_COMMANDS[key]]();
    else return false;
    return true;
  }

  document.addEventListener('keydown', (event) => {
    const {target} = event;
    if (target instanceof Element && target.closest(TYPING)) return;
    if (document.querySelector('.api-docs') || root.querySelector('dialog[open]')) return;    // .api-docs: Gradio's own panel
    const key = event.key.toLowerCase(), isCommand = event.ctrlKey || event.metaKey;
    if (store.get().isOpening && key !== 'escape') return;
    if (isCommand && key === 'z') commands[event.shiftKey ? 'redo' : 'undo']();
    else if (isCommand && key === 'y') commands.redo();
    else if (isCommand || event.altKey) return;
    else if (!(target === refs.marks && onPhoto(key, event)) && !anywhere(key)) return;
    event.preventDefault();
  });
}
