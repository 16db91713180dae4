// The buttons that act on the photo and the mask, and the keyboard shortcuts.
/** @import {Stage} from '../canvas/stage.js' */
/** @import {Page} from './page.js' */
import {lastAct} from '../core/acts.js';
import {hasMask} from '../core/objects.js';
import {isForInputMethod, shortcutOf} from '../core/shortcuts.js';
import {MAX_ZOOM} from '../core/viewport.js';
import {hasResult} from './result_view.js';

/** @typedef {Record<string, (argument?: any) => unknown>} Commands */
/** @typedef {Record<string, (event: KeyboardEvent) => unknown>} Keys */

const CLASS_KEYS = 9;
const WHILE_OPENING = ['escape', 'a', 'd', 'pageup', 'pagedown', 'n', 'z'];
const TYPING = 'input:not([type=range]), textarea, select, [contenteditable=true], dialog';

/** Shows which buttons can be used and which are pressed. */
function showButtons(/** @type {Page} */ {refs, store, buttons}) {
  /** @type {(flags: Record<string, boolean>, apply: (button: HTMLButtonElement, flag: boolean) => void) => void} */
  function applyAll(flags, apply) {
    for (const [command, flag] of Object.entries(flags)) buttons(command).forEach((button) => apply(button, flag));
  }

  store.subscribe((state) => {
    const {isOpening, tool, isRemoving, zoom} = state, isMask = Boolean(state.reply?.coverage);
    const hasObjects = state.objects.some(hasMask), isAny = isMask || hasObjects;
    const isKept = isMask && state.objects.some(({id, original}) => id === state.activeId && original);
    applyAll({
      'undo': (state.view === 'result' ? state.canUndoMove : state.canUndo) || lastAct(state) !== null, 'redo': state.canRedo,
      'clear': state.interactions.length > 0, 'next': isMask, 'view-result': hasResult(state),
      'merge': isKept && state.objects.length > 1, 'subtract': isKept && state.objects.length > 1, 'split': isKept,
      'cutout': isAny, 'mask': isAny, 'copy': isAny, 'save-all': hasObjects, 'load-masks': state.photo !== null,
    }, (button, isEnabled) => { button.disabled = isOpening || !isEnabled; });
    applyAll({
      'tool-click': tool === 'click', 'tool-brush': tool === 'brush', 'tap-add': !isRemoving, 'tap-remove': isRemoving,
      'view-select': state.view === 'select', 'view-result': state.view === 'result',
    }, (button, isPressed) => button.setAttribute('aria-pressed', String(isPressed)));
    applyAll({
      'zoom-in': zoom >= MAX_ZOOM, 'zoom-out': zoom <= 1, 'zoom-fit': zoom <= 1,
    }, (button, isInert) => button.setAttribute('aria-disabled', String(isInert)));
    buttons('sheet').forEach((button) => { button.ariaExpanded = String(state.isSheetOpen); });
    refs.downloadTitle.textContent = isMask ? 'Download this mask' : hasObjects ? 'Download all objects' : 'Download';
    refs.zoom.textContent = Math.round(100 * zoom) + '%';
  });
}

/** Whatever a button does, the sheet of a phone closes, and so it does when the photo is touched. */
function listenToButtons(/** @type {Page} */ {root, refs, store}, /** @type {Commands} */ commands) {
  refs.marks.addEventListener('pointerdown', () => store.set({isSheetOpen: false}));
  root.addEventListener('click', (event) => {
    const {target} = event;
    if (target === refs.help) return refs.help.close();      // its backdrop
    const button = /** @type {HTMLButtonElement | null} */ (/** @type {Element} */ (target).closest('[data-do]'));
    if (!button || button.disabled) return;
    const command = button.dataset.do ?? '';
    store.set({isSheetOpen: command === 'sheet' && !store.get().isSheetOpen});
    if (command !== 'sheet') commands[command](event);
  });
}

/** Whether a key belongs to a name that is typed, or ends it. */
const isOfName = (/** @type {KeyboardEvent} */ event) => !isForInputMethod(event) && !event.ctrlKey && !event.metaKey && !event.altKey
  && (event.key.length === 1 || ['Enter', 'Backspace'].includes(event.key));

/** Presses a key where the focus is by now. @param {KeyboardEvent} event */
function pressAgain(event) {
  const target = document.activeElement ?? document.body;
  if (!target.matches(TYPING) || event.key === 'Enter') target.dispatchEvent(new KeyboardEvent('keydown', event));
  else if (event.key === 'Backspace') document.execCommand('delete');
  else document.execCommand('insertText', false, event.key);
}

/** Listens to the keys. Those of the crosshair need the focus on the photo: elsewhere the arrow keys scroll. `hold` puts an
 * act behind those that wait for a photo or a mask, such as to keep it: what is typed meanwhile is its name.
 * @type {(page: Page, crosshair: Stage['crosshair'], commands: Commands, hold: (act: () => void) => boolean) => void} */
function listenToKeys({root, refs, store}, crosshair, commands, hold) {
  /** @type {Keys} */
  const onPhoto = {
    'arrowleft': ({shiftKey}) => crosshair.step(-1, 0, shiftKey),
    'arrowright': ({shiftKey}) => crosshair.step(1, 0, shiftKey),
    'arrowup': ({shiftKey}) => crosshair.step(0, -1, shiftKey),
    'arrowdown': ({shiftKey}) => crosshair.step(0, 1, shiftKey),
    'enter': ({repeat, shiftKey}) => repeat || crosshair.mark(shiftKey),
    'b': ({repeat}) => repeat || crosshair.corner(),
  };
  const choose = (/** @type {number} */ number) => () => store.get().mode === 'clicks' && commands['choose-' + number]();
  /** @type {Keys} */
  const anywhere = {
    '0': commands['zoom-fit'], '+': commands['zoom-in'], '=': commands['zoom-in'], '-': commands['zoom-out'], '_': commands['zoom-out'],
    'p': commands['tool-switch'], '[': commands['brush-smaller'], ']': commands['brush-larger'],
    '1': choose(1), '2': choose(2), '3': choose(3),
    'a': commands['photo-previous'], 'pageup': commands['photo-previous'],
    'd': commands['photo-next'], 'pagedown': commands['photo-next'], 'f': commands['photo-done'],
    'n': commands.next, 'e': commands.edit, 'r': commands['view-switch'], 'delete': commands.delete, 'backspace': commands.delete,
    '?': commands.help, 'escape': commands.escape,
  };
  /** Shift and a digit give an object one of the first classes. @returns {Keys} */
  const classKeys = () => Object.fromEntries(store.get().classes.slice(0, CLASS_KEYS)
    .map((name, index) => ['shift+' + (index + 1), () => commands.classify(name)]));
  /** @type {Keys} */
  const withCtrl = {'z': ({shiftKey}) => commands[shiftKey ? 'redo' : 'undo'](), 'y': commands.redo, 'c': commands.copy};

  document.addEventListener('keydown', (event) => {
    const {target} = event;
    if (target instanceof Element && target.closest(TYPING)) return;
    if (document.querySelector('.api-docs') || root.querySelector('dialog[open]')) return;    // .api-docs: Gradio's own panel
    if (isOfName(event) && hold(() => pressAgain(event))) return event.preventDefault();
    const plain = {...anywhere, ...classKeys(), ...(target === refs.marks && onPhoto)};
    const shortcut = shortcutOf(event, plain, withCtrl);
    if (!shortcut || (store.get().isOpening && !WHILE_OPENING.includes(shortcut.name))) return;
    if (shortcut.act === commands.copy && (event.shiftKey || !getSelection()?.isCollapsed)) return;      // the browser's own
    shortcut.act(event);
    event.preventDefault();
  });
}

/** @type {(page: Page, crosshair: Stage['crosshair'], commands: Commands, hold: (act: () => void) => boolean) => void} */
export function createControls(page, crosshair, commands, hold) {
  showButtons(page);
  listenToButtons(page, commands);
  listenToKeys(page, crosshair, commands, hold);
}
