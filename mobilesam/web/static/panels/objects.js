// The objects of the open photo, and their list beside it: keep, edit, export and load them; another photo saves them.
/** @import {Objects} from '../core/objects.js' */
/** @import {Editor} from './editor.js' */
/** @import {Page, PageState} from './page.js' */
import {isInside} from '../core/geometry.js';
import {quoted} from '../core/names.js';
import {createObjects, formatIou, hasMask, predictedIou} from '../core/objects.js';
import {isForInputMethod} from '../core/shortcuts.js';
import {element} from './page.js';

const NAME_IT = 'Name it';       // the button of a note

/** @typedef {Pick<Objects, 'edit' | 'rename' | 'toggle'> & Record<'remove' | 'highlight', (id: number) => void>
 *   & {leaveName: () => void}} Actions */
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

/** @param {Page} page @param {Actions} actions */
function createObjectList({refs, store, limits}, actions) {
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

/** @param {Page} page @param {Editor} editor
 * @param {{ask: Call, downloads: {save: (query: object) => Promise<boolean>},
 *   classes: {use: (name: string) => void, colour: (name: string) => string | null, readonly next: string},
 *   onChange: () => void}} options */
export function createObjectsPanel(page, {undoStack, stage, requests}, {ask, downloads, classes, onChange}) {
  const {refs, store, limits, fail, tell} = page;

  function changed() {
    const {items, active, exclusive, clean, drawn} = objects;
    stage.setObjects(drawn, exclusive);
    store.set({objects: items, activeId: active.id, activeColour: active.colour, exclusive, clean});
    onChange();
  }

  const objects = createObjects({
    undoStack, maxObjects: limits.max_objects, onChange: changed, onShow: requests.showReply,
    classColour: classes.colour, defaultClass: () => classes.next,
    onFull: () => fail(`A photo can have up to ${limits.max_objects} objects. Export them, then delete some.`),
  });

  function rename(/** @type {number} */ id, /** @type {string} */ name) {
    classes.use(name);
    objects.rename(id, name);
  }

  function edit(/** @type {number} */ id) {
    const {combining, activeId} = store.get();
    if (combining && id !== activeId) combineWith(combining, id);
    else requests.whenAnswered(() => objects.edit(id));
  }
  const highlight = (/** @type {number} */ highlightedId) => store.set({highlightedId});
  const list = createObjectList(page, {
    edit, highlight, rename, toggle: objects.toggle,
    leaveName() {
      store.set({isSheetOpen: false});
      refs.marks.focus({preventScroll: true});
    },
    remove(id) {
      const item = objects.remove(id);
      if (item) tell(`Deleted ${quoted(item.name)}.`, objects.restoreRemoved);
    },
  });

  function add(/** @type {{rle: Rle, predicted_iou: number | null, name?: string}[]} */ masks, verb = 'kept') {
    masks.forEach(({name}) => classes.use(name ?? ''));
    const undo = objects.add(masks);
    if (undo) tell(`${masks.length} ${masks.length === 1 ? 'object was' : 'objects were'} ${verb}.`, undo);
    return undo !== null;
  }

  /** Saves all objects as one file. */
  async function saveAll(kind = refs.format.value) {
    const {exported, exclusive} = objects, {edges, classes: names} = store.get();
    await downloads.save({objects: exported, exclusive, kind, edges, classes: names});
  }

  /** The uppermost object that shows at an imagePoint, and is not edited. @param {Point | null} imagePoint */
  function objectAt(imagePoint) {
    const {photo} = store.get();
    return photo && imagePoint && isInside(imagePoint, photo) ? objects.at(imagePoint, photo) : null;
  }

  let combineNote = /** @type {PageState['note']} */ (null);   // whose Undo belongs to the object that is edited

  /** The masks that an operation on objects gives, at the photo's own size; null if it failed.
   * @type {(operation: string, items: PhotoObject[]) => Promise<Rle[] | null>} */
  async function combined(operation, items) {
    page.setBusy('Combining the masks…');
    const reply = await ask('combine', {operation, objects: objects.exportedOf(items)});
    page.setBusy('');
    return reply.ok ? reply.rles : page.fail(reply.error);
  }

  /** The next click on another object merges it into the one that is edited, or subtracts it.
   * @param {'merge' | 'subtract'} combining */
  function startCombining(combining) {
    store.set({combining});
    const what = combining === 'merge' ? 'Click the object to merge into this one.' : 'Click the object to subtract from this one.';
    tell(what, () => store.set({combining: null}), 'Cancel');
  }

  /** @type {(combining: 'merge' | 'subtract', id: number) => Promise<void>} */
  async function combineWith(combining, id) {
    const {active} = objects, other = objects.items.find((item) => item.id === id);
    store.set({combining: null, note: null});
    const rles = other && await combined(combining, [active, other]);
    if (!rles || objects.active !== active) return;
    undoStack.replace([{type: 'mask', rle: rles[0]}]);
    if (combining === 'subtract') return;
    objects.remove(id);
    tell(`${quoted(other.name)} was merged into ${quoted(active.name)}.`, () => {
      undoStack.undo();
      objects.restoreRemoved();
    });
    combineNote = store.get().note;
  }

  /** Makes an object of each separate part. */
  async function split() {
    const {active} = objects, rles = await combined('split', [active]);
    if (!rles || objects.active !== active) return;
    const [first, ...others] = rles.map((rle) => ({rle, predicted_iou: null, name: active.name}));
    const undoAdd = objects.add(others);
    if (!undoAdd) return;
    undoStack.replace([{type: 'mask', rle: first.rle}]);
    tell(`${quoted(active.name)} was split into ${rles.length} objects.`, () => {
      undoAdd();
      undoStack.undo();
    });
    combineNote = store.get().note;
  }

  /** Gives the object that is edited, or else the last one, a class. @param {string} name */
  function classify(name) {
    const {objects: items, activeId} = store.get(), item = items.find(({id}) => id === activeId) ?? items.at(-1);
    if (item) rename(item.id, name);
  }

  /** Edits the object under the crosshair or the pointer. */
  function editThere() {
    const object = objectAt(stage.target);
    if (object) edit(object.id);
  }

  /** Keeps the active object, and lets a user with a keyboard name it. @param {Event} [event] */
  function next(event) {
    const isTouch = !store.get().hasHover || /** @type {PointerEvent} */ (event)?.pointerType === 'touch';
    requests.whenAnswered(() => {
      const kept = objects.active;
      objects.next();
      if (objects.active === kept) return;
      store.set({isRemoving: false});   // another object begins with a point on it
      if (!isTouch) {
        list.focusName(kept.id);
        if (refs.note.hidden) tell('', () => edit(kept.id));    // else Undo does what the note offers
        return;
      }
      tell(`Kept as ${quoted(kept.name)}.`, () => {
        store.set({isSheetOpen: true});
        list.focusName(kept.id);
      }, NAME_IT);
    });
  }

  /** Deletes the object that is edited. */
  function removeActive() {
    const {activeId} = store.get();
    if (objects.items.some(({id}) => id === activeId)) list.remove(activeId);
  }

  store.subscribe(({combining, note, isSheetOpen, interactions, photo, activeId}, previous) => {
    if (note && note === combineNote && activeId !== previous.activeId) store.set({note: null});
    if (note?.label === NAME_IT && (isSheetOpen || interactions !== note.interactions)) store.set({note: null});
    if (combining && (interactions !== previous.interactions || photo !== previous.photo)) store.set({combining: null, note: null});
  });
  store.subscribe(({highlightedId, objects: items}, previous) => {
    if (highlightedId === previous.highlightedId && items === previous.objects) return;
    const item = items.find(({id}) => id === highlightedId);
    stage.highlight(item && hasMask(item) ? {rle: item.reply.rle, colour: item.colour} : null);
  });

  for (const control of [refs.exclusive, refs.winner]) {
    control.addEventListener('change', () => {
      objects.exclusive = refs.exclusive.checked ? /** @type {Exclusive} */ (refs.winner.value) : null;
    });
  }
  refs.clean.addEventListener('change', () => {
    objects.clean = refs.clean.checked;
    requests.askAgain();
  });
  return {
    objects, add, edit, objectAt, removeActive, saveAll,
    /** Scrolls to the row of an object, and opens the sheet of a phone for it. @param {number} id */
    reveal(id) {
      store.set({isSheetOpen: true, highlightedId: id});
      list.reveal(id);
    },
    /** Highlights the row of the object at an imagePoint. @param {Point | null} imagePoint */
    hover: (imagePoint) => highlight(objectAt(imagePoint)?.id ?? 0),
    commands: {
      'merge': () => startCombining('merge'), 'subtract': () => startCombining('subtract'), split, classify,
      next, 'edit': editThere, 'save-all': () => saveAll(),
    },
  };
}
