// @ts-check
// What the page says about the mask: the hint, the candidates, the verdict and the time it took.
/** @import {Candidate, Size} from '../core/types.js' */
/** @import {Page, PageState} from './page.js' */
import {contextOf, createCanvas} from '../canvas/canvas2d.js';
import {paintMask} from '../canvas/mask_painting.js';
import {fitted} from '../core/geometry.js';
import {isAnswerable} from '../core/interactions.js';
import {decodeRle} from '../core/rle.js';
import {element} from './page.js';

const CANDIDATES = 3;
const HINTS = {                 // for a mouse, and for fingers
  empty: ['Open a photo, then click an object in it.', 'Open a photo, then tap an object in it.'],
  opening: ['Click an object now to get its mask as soon as the photo is ready.', 'Tap an object now to get its mask as soon as the photo is ready.'],
  ready: ['Click an object, or drag a box around it.', 'Tap an object, or drag a box around it.'],
  negative: ['Now click the object itself.', 'Now tap the object itself.'],
  choose: ['A click can mean more than one object. Choose the one you meant:', 'A tap can mean more than one object. Choose the one you meant:'],
  refine: ['Click to add a missing area. Right-click to exclude an area.', 'Tap to add a missing area. Switch to "Tap removes" to exclude an area.'],
  brush: ['Paint to add to the mask. Use the right button or Shift to erase.', 'Paint to add to the mask. Switch to "Erase" to remove from it.'],
  masks: ['Click a mask to edit it.', 'Tap a mask to edit it.'],
  nothing: ['No object was found there. Click elsewhere, or drag a box.', 'No object was found there. Tap elsewhere, or drag a box.'],
};

/** @param {Readonly<PageState>} state @returns {keyof typeof HINTS} */
function hintName({isOpening, photo, mode, tool, reply, interactions}) {
  if (isOpening) return 'opening';
  if (!photo) return 'empty';
  if (mode === 'masks') return 'masks';
  if (tool === 'brush') return 'brush';
  if (!reply) return interactions.length && !isAnswerable(interactions) ? 'negative' : 'ready';
  if (!reply.coverage) return 'nothing';
  return reply.candidates.length > 1 ? 'choose' : 'refine';
}

/** @param {Readonly<PageState>} state */
function verdict({reply}) {
  if (!reply) return '';
  if (!reply.coverage) return 'No mask';
  const estimate = reply.predicted_iou === null ? '' : ', predicted IoU ' + reply.predicted_iou.toFixed(2);
  const percent = (100 * reply.coverage).toFixed(reply.coverage < 0.1 ? 1 : 0);
  return `Mask ready${estimate} · covers ${percent}% of the photo`;
}

/** @param {HTMLCanvasElement} photo @param {Candidate} candidate */
function thumbnail(photo, {rle}) {
  const overlay = createCanvas(1, 1);
  paintMask(overlay, decodeRle(rle));
  const canvas = createCanvas(overlay.width, overlay.height), context = contextOf(canvas);
  context.imageSmoothingQuality = 'high';
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  context.drawImage(overlay, 0, 0);
  return canvas;
}

/**
 * Empty candidates: they take up the room, so that what is below does not move under the pointer.
 * @param {Size} photo
 * @param {number} side
 */
function placeholders({width, height}, side) {
  return Array.from({length: CANDIDATES}, () => element('div', {className: 'sam-candidate sam-vacant'},
    createCanvas(...fitted(width, height, side)), element('span', {textContent: '\u00a0'})));
}

/** @param {Page} page @param {(index: number) => void} onChoose */
export function createResult({refs, store, limits}, onChoose) {
  /** @param {HTMLCanvasElement} photo @param {Candidate} candidate @param {number} index @param {boolean} isChosen */
  function candidateButton(photo, candidate, index, isChosen) {
    const iou = candidate.predicted_iou.toFixed(2), key = String(index + 1);
    const button = element('button', {
      type: 'button', className: 'sam-candidate', title: `Candidate ${key}, predicted IoU ${iou}`, ariaPressed: String(isChosen),
    }, thumbnail(photo, candidate), element('span', {}, element('kbd', {textContent: key}), ' ' + iou));
    button.addEventListener('click', () => onChoose(index));
    return button;
  }

  /** @param {Readonly<PageState>} state */
  function showCandidates({photo, reply}) {
    if (!photo) return;
    const focused = Array.from(refs.candidates.children).findIndex((child) => child === document.activeElement);
    refs.candidates.replaceChildren(...(!reply || reply.candidates.length < 2
      ? placeholders(photo, limits.thumbnail_side)
      : reply.candidates.map((candidate, index) => candidateButton(refs.photo, candidate, index, index === reply.index))));
    if (focused >= 0) /** @type {HTMLElement} */ (refs.candidates.children[focused]).focus();
  }

  /** @param {Readonly<PageState>} state @param {Readonly<PageState>} previous */
  function show(state, previous) {
    refs.hint.textContent = HINTS[hintName(state)][state.hasHover ? 0 : 1];
    if (state.reply !== previous.reply || state.photo !== previous.photo) {
      showCandidates(state);
      refs.verdict.textContent = verdict(state);
      refs.decodeCost.textContent = state.reply ? `in ${Math.max(1, Math.round(state.reply.ms))} ms` : 'no click yet';
    }
    refs.candidates.inert = state.isOpening;
  }
  store.subscribe(show);
  show(store.get(), store.get());
}
