// The hint, the candidates, and what is known about the mask and the model.
/** @import {Page, PageState} from './page.js' */
import {contextOf, createCanvas} from '../canvas/canvas2d.js';
import {paintMask} from '../canvas/mask_painting.js';
import {fitted} from '../core/geometry.js';
import {isAnswerable} from '../core/interactions.js';
import {describeMask, formatIou} from '../core/objects.js';
import {decodeRle} from '../core/rle.js';
import {element} from './page.js';

const CANDIDATES = 3;
const CANDIDATES_MARGIN = 10;   // CSS pixels above them
const WEIGHTS = /** @type {Record<string, string>} */ ({official: 'official MobileSAM', bundled: 'bundled', custom: 'your own file'});
const BUNDLED_NOTE = 'The bundled weights work without a network. The official weights give better masks.';
const HINTS = {                 // for a mouse, and for fingers
  empty: ['Open a photo, then click an object in it.', 'Open a photo, then tap an object in it.'],
  opening: ['Click an object now to get its mask as soon as the photo is ready.', 'Tap an object now to get its mask as soon as the photo is ready.'],
  ready: ['Click an object, or drag a box around it.', 'Tap an object, or drag a box around it.'],
  negative: ['Now click the object itself.', 'Now tap the object itself.'],
  choose: ['Did you mean one of these?', 'Did you mean one of these?'],
  refine: ['Click to add a missing area. Right-click to exclude an area.', 'Tap to add a missing area. Switch to "Remove" to exclude an area.'],
  brush: ['Paint to add to the mask. Use the right button or Shift to erase.', 'Paint to add to the mask. Switch to "Erase" to remove from it.'],
  masks: ['Click masks to choose those to keep.', 'Tap masks to choose those to keep.'],
  nothing: ['Not sure. Add a click or draw a box.', 'Not sure. Add a tap or draw a box.'],
};

function hintName(/** @type {PageState} */ {isOpening, photo, mode, tool, reply, interactions}) {
  if (isOpening) return 'opening';
  if (!photo) return 'empty';
  if (mode === 'masks') return 'masks';
  if (tool === 'brush') return 'brush';
  if (!reply) return interactions.length && !isAnswerable(interactions) ? 'negative' : 'ready';
  if (!reply.coverage) return 'nothing';
  return reply.candidates.length > 1 ? 'choose' : 'refine';
}

/** What is known about the mask that shows, also where that is a preview. */
function verdict(/** @type {PageState} */ {mode, reply: newest, preview}) {
  const reply = preview?.reply ?? newest;
  if (!reply || mode === 'masks') return '';
  if (!reply.coverage) return 'No mask';
  return describeMask(reply.coverage, reply.predicted_iou);
}

/** @type {(photo: HTMLCanvasElement, candidate: Candidate, colour: string) => HTMLCanvasElement} */
function thumbnail(photo, {rle}, colour) {
  const overlay = createCanvas(1, 1);
  paintMask(overlay, decodeRle(rle), colour);
  const canvas = createCanvas(overlay.width, overlay.height), context = contextOf(canvas);
  context.imageSmoothingQuality = 'high';
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  context.drawImage(overlay, 0, 0);
  return canvas;
}

/** `onPreview` is called with the candidate under the pointer or with the focus, and with null when there is none.
 * @param {Page} page @param {(index: number) => void} onChoose @param {(index: number | null) => void} onPreview */
export function createResult({refs, store, limits}, onChoose, onPreview) {
  /** @type {(candidate: Candidate, index: number, isChosen: boolean) => HTMLElement} */
  function candidateButton(candidate, index, isChosen) {
    const iou = formatIou(candidate.predicted_iou), key = String(index + 1);
    return element('button', {
      type: 'button', className: 'sam-candidate', title: `Candidate ${key}, quality ${iou} as the model estimates it`,
      ariaPressed: String(isChosen), onclick: () => onChoose(index),
      onpointerenter: (/** @type {PointerEvent} */ {pointerType}) => { if (pointerType !== 'touch') onPreview(index); },
      onpointerleave: () => onPreview(null),
      onfocus: (/** @type {FocusEvent} */ {target}) => {
        if (/** @type {Element} */ (target).matches(':focus-visible')) onPreview(index);
      },
      onblur: () => onPreview(null),
    }, thumbnail(refs.photo, candidate, store.get().activeColour), element('span', {}, element('kbd', {textContent: key}), ' ' + iou));
  }

  function showCandidates(/** @type {PageState} */ {photo, reply: newest, mode}) {
    const reply = mode === 'masks' ? null : newest;
    if (!photo) return;
    onPreview(null);
    const focused = Array.from(refs.candidates.children).findIndex((child) => child === document.activeElement);
    // Without candidates, empty ones take up the room: what is below must not move under the pointer.
    const empty = () => element('div', {className: 'sam-candidate sam-vacant'},
      createCanvas(...fitted(photo.width, photo.height, limits.thumbnail_side)), element('span', {textContent: '\u00a0'}));
    refs.candidates.replaceChildren(...(!reply || reply.candidates.length < 2
      ? Array.from({length: CANDIDATES}, empty)
      : reply.candidates.map((candidate, index) => candidateButton(candidate, index, index === reply.index))));
    const room = refs.candidates.getBoundingClientRect().height + CANDIDATES_MARGIN;
    if (room > CANDIDATES_MARGIN) refs.objectList.style.setProperty('--sam-vacant', `${room}px`);
    if (focused >= 0) /** @type {HTMLElement} */ (refs.candidates.children[focused]).focus();
  }

  function showModel(/** @type {NonNullable<PageState['modelInfo']>} */ {device, weights, reason}) {
    refs.device.textContent = device;
    refs.weights.textContent = WEIGHTS[weights];
    refs.weightsNote.textContent = weights === 'bundled' ? BUNDLED_NOTE : '';
    refs.weightsNote.title = reason;
    refs.modelInfo.textContent = `${device} · ${WEIGHTS[weights]} weights`;
  }

  store.subscribe((state, previous) => {
    refs.hint.textContent = HINTS[hintName(state)][state.hasHover ? 0 : 1];
    if (state.encodeCost) refs.encodeCost.textContent = state.encodeCost;
    if (state.modelInfo && state.modelInfo !== previous.modelInfo) showModel(state.modelInfo);
    if (verdict(state) !== refs.verdict.textContent) refs.verdict.textContent = verdict(state);
    if (/** @type {const} */ (['reply', 'photo', 'activeColour', 'mode']).some((key) => state[key] !== previous[key])) {
      showCandidates(state);
      refs.decodeCost.textContent = state.reply ? `in ${Math.max(1, Math.round(state.reply.ms))} ms` : 'no click yet';
    }
    refs.candidates.inert = state.isOpening;
  });
}
