// The list of the objects of the open photo: a row each, with colour, name, quality and the buttons to hide and delete.
/** @import {Objects} from '../core/objects.js' */
/** @import {Page, PageState} from './page.js' */
import {formatIou, hasMask, predictedIou} from '../core/objects.js';
import {isForInputMethod} from '../core/shortcuts.js';
import {element} from './page.js';

/** @typedef {Pick<Objects, 'edit' | 'toggle'> & Record<'remove' | 'highlight', (id: number) => void>
 *   & {rename: (id: number, name: string) => void, leaveName: () => void}} Actions */
/** @typedef {ReturnType<typeof createRow>} Row */

const EYE = '<svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" stroke-width="2"'
  + ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6'
  + ' 6.5-10 6.5S2 12 2 12z"/><circle cx="12" cy="12" r="2.8"/><path class="sam-strike" d="M4 20L20 4"/></svg>';

/** @type {(className: string, onClick: () => void) => HTMLButtonElement} */
const rowButton = (className, onClick) => element('button', {
  type: 'button', className, onclick(/** @type {Event} */ event) { event.stopPropagation(); onClick(); },
});

/** @param {number} id @param {number} maxName @param {Actions} actions */
function createRow(id, maxName, actions) {
  const swatch = rowButton('sam-swatch', () => actions.edit(id));
  const name = element('input', {type: 'text', dir: 'auto', maxLength: maxName, ariaLabel: 'Name of the object'});
  name.setAttribute('list', 'sam-class-names');
  name.addEventListener('change', () => actions.rename(id, name.value));
  let former = '';
  name.addEventListener('focus', () => { former = name.value; });
  name.addEventListener('keydown', (event) => {
    if (isForInputMethod(event) || !['Enter', 'Escape'].includes(event.key)) return;
    if (event.key === 'Escape') name.value = former;
    actions.leaveName();
  });
  const iou = element('span', {className: 'sam-iou'});
  const eye = rowButton('sam-icon sam-eye', () => actions.toggle(id));
  eye.innerHTML = EYE;
  const remove = rowButton('sam-icon sam-remove', () => actions.remove(id));
  remove.textContent = '×';
  const row = element('li', {className: 'sam-object'}, swatch, name, iou, eye, remove);
  row.addEventListener('click', () => actions.edit(id));
  row.addEventListener('pointerenter', ({pointerType}) => { if (pointerType !== 'touch') actions.highlight(id); });
  row.addEventListener('focusin', () => actions.highlight(id));
  for (const type of ['pointerleave', 'focusout']) row.addEventListener(type, () => actions.highlight(0));
  return {row, swatch, name, iou, eye, remove};
}

/** @param {Row} row @param {PhotoObject} item @param {boolean} isActive */
function updateRow({row, swatch, name, iou, eye, remove}, item, isActive) {
  const estimate = hasMask(item) ? predictedIou(item) : null;
  row.ariaCurrent = isActive ? 'true' : null;
  row.dataset.visible = item.visible ? 'yes' : 'no';
  swatch.style.background = item.colour;
  Object.assign(swatch, {
    title: isActive ? 'You are editing this object' : 'Edit this object',
    ariaLabel: (isActive ? 'Editing ' : 'Edit ') + item.name, ariaPressed: String(isActive),
  });
  if (document.activeElement !== name) name.value = item.name;
  Object.assign(iou, {textContent: estimate === null ? '' : formatIou(estimate), title: estimate === null ? '' : 'Quality, as the model estimates it'});
  Object.assign(eye, {
    disabled: isActive, title: item.visible ? 'Hide on the photo' : 'Show on the photo',
    ariaLabel: (item.visible ? 'Hide ' : 'Show ') + item.name, ariaPressed: String(!item.visible),
  });
  Object.assign(remove, {title: 'Delete', ariaLabel: 'Delete ' + item.name});
}

/** The first click on a row edits the object, whose candidates move the list: the second click of a double click then lies on
 * something else, such as a candidate. It does nothing there, and selects the name if that was clicked.
 * @param {HTMLElement} list @param {HTMLElement} root */
function ignoreDoubleClicksElsewhere(list, root) {
  let pressed = /** @type {HTMLElement | null} */ (null);  // by the first click
  const isElsewhere = (/** @type {MouseEvent} */ {detail, target}) => {
    const row = pressed?.closest('li');
    return detail > 1 && Boolean(row && list.contains(row) && !row.contains(/** @type {Node} */ (target)));
  };

  root.addEventListener('mousedown', (event) => {
    if (!isElsewhere(event)) pressed = /** @type {HTMLElement} */ (event.target);
    else event.preventDefault();      // the focus stays
  }, {capture: true});
  root.addEventListener('click', (event) => {
    if (!isElsewhere(event)) return;
    event.stopPropagation();
    if (pressed instanceof HTMLInputElement) pressed.select();
  }, {capture: true});
}

/** @param {Page} page @param {Actions} actions */
export function createObjectList({root, refs, store, limits}, actions) {
  const rows = /** @type {Map<number, Row>} */ (new Map());

  /** Deletes an object; the focus within its row moves to its neighbour instead of the top of the page. @param {number} id */
  function remove(id) {
    const row = rows.get(id)?.row, next = row?.nextElementSibling ?? row?.previousElementSibling;
    const hadFocus = row?.contains(document.activeElement);
    actions.remove(id);
    if (!hadFocus) return;
    const neighbour = /** @type {HTMLElement | null | undefined} */ (next?.isConnected && next.querySelector('.sam-remove'));
    (neighbour || refs.marks).focus({preventScroll: true});
  }

  /** Updates the rows; they are not replaced, so that the focus stays. @param {PageState} state */
  function showRows({objects, activeId}) {
    for (const [id, {row}] of rows) {
      if (objects.some((item) => item.id === id)) continue;
      row.remove();
      rows.delete(id);
    }
    objects.forEach((item, index) => {
      const row = rows.get(item.id) ?? createRow(item.id, limits.max_name, {...actions, remove});
      rows.set(item.id, row);
      const there = refs.objectList.children[index];
      if (there !== row.row) refs.objectList.insertBefore(row.row, there ?? null);
      updateRow(row, item, item.id === activeId);
    });
  }

  /** Scrolls the list to an object; the page does not scroll. @param {number} id */
  function reveal(id) {
    const row = rows.get(id);
    if (!row) return;
    const {top, bottom} = row.row.getBoundingClientRect(), list = refs.objectList.getBoundingClientRect();
    refs.objectList.scrollTop += Math.max(0, bottom - list.bottom) + Math.min(0, top - list.top);
    return row;
  }

  /** @param {PageState} state */
  function show(state) {
    showRows(state);
    refs.objectList.hidden = !state.objects.length;
    refs.objectHint.hidden = state.objects.length > 0;
    refs.overlaps.hidden = state.objects.length < 2;
    refs.exclusive.checked = state.exclusive !== null;
    refs.winner.disabled = state.exclusive === null;
    refs.clean.checked = state.clean;
    if (state.exclusive) refs.winner.value = state.exclusive;
  }

  store.subscribe((state, previous) => {
    refs.objectSection.inert = state.isOpening;
    refs.objectSection.ariaBusy = String(state.isOpening);
    for (const [id, {row}] of rows) row.dataset.highlighted = id === state.highlightedId ? 'yes' : 'no';
    const wasListed = rows.has(state.activeId);
    if (state.objects !== previous.objects || state.exclusive !== previous.exclusive) show(state);
    if (!wasListed || state.activeId !== previous.activeId || state.interactions !== previous.interactions) reveal(state.activeId);
  });
  ignoreDoubleClicksElsewhere(refs.objectList, root);
  // The list gives room to the candidates as they come.
  new ResizeObserver(() => reveal(store.get().activeId)).observe(refs.objectList);

  return {
    remove,
    reveal,
    /** Lets the user type another name. @param {number} id */
    focusName(id) {
      const name = reveal(id)?.name;
      name?.focus({preventScroll: true});
      name?.select();
    },
  };
}
