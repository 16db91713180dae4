// The buttons that act on the photo and the mask.
/** @import {Page} from './page.js' */
import {hasMask} from '../core/objects.js';
import {MAX_ZOOM} from '../core/viewport.js';
import {isUndoNote} from './page.js';

export function createToolBars(/** @type {Page} */ {refs, store, buttons}) {
  /** @type {(flags: Record<string, boolean>, apply: (button: HTMLButtonElement, flag: boolean) => void) => void} */
  function applyAll(flags, apply) {
    for (const [command, flag] of Object.entries(flags)) buttons(command).forEach((button) => apply(button, flag));
  }

  store.subscribe((state) => {
    const {isOpening, tool, isRemoving, zoom} = state, isMask = Boolean(state.reply?.coverage);
    applyAll({
      'undo': state.canUndo || isUndoNote(state), 'redo': state.canRedo, 'clear': state.interactions.length > 0,
      'cutout': isMask, 'mask': isMask, 'compare': isMask, 'next': isMask,
      'save-all': state.objects.some(hasMask), 'load-masks': state.photo !== null,
    }, (button, isEnabled) => { button.disabled = isOpening || !isEnabled; });
    applyAll({
      'tool-click': tool === 'click', 'tool-brush': tool === 'brush', 'tap-add': !isRemoving, 'tap-remove': isRemoving,
    }, (button, isPressed) => button.setAttribute('aria-pressed', String(isPressed)));
    applyAll({
      'zoom-in': zoom >= MAX_ZOOM, 'zoom-out': zoom <= 1, 'zoom-fit': zoom <= 1,
    }, (button, isInert) => button.setAttribute('aria-disabled', String(isInert)));
    refs.zoom.textContent = Math.round(100 * zoom) + '%';
  });
}
