// The objects of the open photo: keep, edit, combine, export and load them.
/** @import {Editor} from './editor.js' */
/** @import {Page, PageState} from './page.js' */
import {isInside} from '../core/geometry.js';
import {quoted} from '../core/names.js';
import {createObjects, hasMask} from '../core/objects.js';
import {createObjectList} from './object_list.js';

const NAME_IT = 'Name it';       // the button of a note

/** @param {Page} page @param {Editor} editor
 * @param {{ask: Call, downloads: {save: (query: object) => Promise<boolean>},
 *   classes: {use: (name: string) => void, colour: (name: string) => string | null, readonly next: string},
 *   onChange: () => void}} options */
export function createObjectsPanel(page, {undoStack, stage, requests}, {ask, downloads, classes, onChange}) {
  const {refs, store, limits, fail, tell, did} = page;

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
    const undo = objects.rename(id, name);
    if (undo) did(undo);
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
      const removed = objects.remove(id);
      if (removed) did(removed.restore, {text: `Deleted ${quoted(removed.item.name)}.`});
    },
  });

  function add(/** @type {{rle: Rle, predicted_iou: number | null, name?: string}[]} */ masks, verb = 'kept') {
    masks.forEach(({name}) => classes.use(name ?? ''));
    const undo = objects.add(masks);
    if (undo) did(undo, {text: `${masks.length} ${masks.length === 1 ? 'object was' : 'objects were'} ${verb}.`});
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
    const removed = objects.remove(id), text = `${quoted(other.name)} was merged into ${quoted(active.name)}.`;
    did(() => {
      undoStack.undo();
      removed?.restore();
    }, {text, objectId: active.id});
  }

  /** Makes an object of each separate part. */
  async function split() {
    const {active} = objects, rles = await combined('split', [active]);
    if (!rles || objects.active !== active) return;
    const [first, ...others] = rles.map((rle) => ({rle, predicted_iou: null, name: active.name}));
    const undoAdd = objects.add(others);
    if (!undoAdd) return;
    undoStack.replace([{type: 'mask', rle: first.rle}]);
    did(() => {
      undoAdd();
      undoStack.undo();
    }, {text: `${quoted(active.name)} was split into ${rles.length} objects.`, objectId: active.id});
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
    const isTouch = !(event instanceof KeyboardEvent)
      && (!store.get().hasHover || /** @type {PointerEvent} */ (event)?.pointerType === 'touch');
    requests.whenAnswered(() => {
      const kept = objects.active;
      objects.next();
      if (objects.active === kept) return;
      store.set({isRemoving: false});   // another object begins with a point on it
      did(() => edit(kept.id));
      if (isTouch) tell(`Kept as ${quoted(kept.name)}.`, () => nameIt(kept.id), NAME_IT);
      else nameIt(kept.id);
    });
  }

  /** Lets the user type the name of an object, on a phone in the sheet. @param {number} id */
  function nameIt(id) {
    list.focusName(id);
    if (refs.objectList.contains(document.activeElement)) return;
    store.set({isSheetOpen: true});
    list.focusName(id);
  }

  /** Deletes the object that is edited. */
  function removeActive() {
    const {activeId} = store.get();
    if (objects.items.some(({id}) => id === activeId)) list.remove(activeId);
  }

  store.subscribe(({combining, note, isSheetOpen, interactions, photo}, previous) => {
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
