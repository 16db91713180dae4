// @ts-check
// The buttons that act on the photo and the mask: what they allow, which are pressed, and the brush size.
/** @import {Page, PageState} from './page.js' */
import {MAX_ZOOM} from '../core/viewport.js';
import {isUndoNote, statusOf} from './page.js';

/** @param {Readonly<PageState>} state */
function enabledCommands(state) {
  const hasMask = Boolean(state.reply?.coverage);
  return {
    'undo': state.canUndo || isUndoNote(state), 'redo': state.canRedo, 'clear': state.interactions.length > 0,
    'cutout': hasMask, 'mask': hasMask, 'compare': hasMask,
    'next': state.canKeep, 'save-all': state.canExport, 'load-masks': state.photo !== null,
  };
}

/** @param {Readonly<PageState>} state */
const pressedCommands = ({tool, isRemoving}) => ({
  'tool-click': tool === 'click', 'tool-brush': tool === 'brush', 'tap-add': !isRemoving, 'tap-remove': isRemoving,
});

/** @param {Readonly<PageState>} state */
const inertZooms = ({zoom}) => ({'zoom-in': zoom >= MAX_ZOOM, 'zoom-out': zoom <= 1, 'zoom-fit': zoom <= 1});

/** @param {Page} page @param {(share: number) => void} onBrushShare the brush size was chosen, 0 to 1 */
export function createToolBars({refs, store, buttons}, onBrushShare) {
  /** @param {Record<string, boolean>} flags @param {(button: HTMLButtonElement, flag: boolean) => void} apply */
  function applyAll(flags, apply) {
    for (const [command, flag] of Object.entries(flags)) buttons(command).forEach((button) => apply(button, flag));
  }

  /** @param {Readonly<PageState>} state */
  function show(state) {
    const isFree = statusOf(state) !== 'opening';
    applyAll(enabledCommands(state), (button, isEnabled) => { button.disabled = !(isEnabled && isFree); });
    applyAll(pressedCommands(state), (button, isPressed) => button.setAttribute('aria-pressed', String(isPressed)));
    applyAll(inertZooms(state), (button, isInert) => button.setAttribute('aria-disabled', String(isInert)));
    refs.zoom.textContent = Math.round(100 * state.zoom) + '%';
    refs.brush.value = String(Math.round(100 * state.brush.share));
    refs.brushSize.textContent = Math.round(state.brush.px) + ' px';
    refs.brush.setAttribute('aria-valuetext', refs.brushSize.textContent);
  }

  refs.brush.addEventListener('input', () => onBrushShare(Number(refs.brush.value) / 100));
  store.subscribe(show);
  show(store.get());
}
