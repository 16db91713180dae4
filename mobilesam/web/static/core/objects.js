// The objects of a photo, each with a name, a colour and interactions. One is active: it is being edited, its
// interactions are in the undo stack of the page, and its mask is on the stage.
/** @import {UndoStack} from './undo_stack.js' */
import {pixelAt} from './geometry.js';
import {PALETTE} from './palette.js';
import {coverage, displaySize, hasPixel, insideRanges, rangesIou} from './rle.js';
import {createUndoStack} from './undo_stack.js';

const COMPARED_SIDE = 256, SAME_SHARE = 0.1, SAME_IOU = 0.9;
const DEFAULT_NAME = /^Object (\d+)$/;

/** @type {(item: PhotoObject) => item is PhotoObject & {reply: Reply}} */
export const hasMask = (item) => Boolean(item.reply && item.reply.coverage);

/** The predicted IoU of an object's mask: the decoder's, or the one that came with an added mask.
 * @type {(item: PhotoObject) => number | null} */
export const predictedIou = ({reply, predicted_iou}) => reply?.predicted_iou ?? predicted_iou;

/** A predicted IoU to read: the decoder's estimate may exceed 1. */
export const formatIou = (/** @type {number} */ iou) => Math.min(iou, 1).toFixed(2);

/** What is known about a mask. @param {number} share of the photo, 0 to 1 @param {number | null} iou predicted */
export const describeMask = (share, iou) => (
  (iou === null ? '' : `Quality ${formatIou(iou)} · `) + `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}% of the photo`);

/** The objects with a mask as the server functions read them, visible or not. @param {ObjectsSnapshot} snapshot */
export const exportedObjects = ({items}) => exported(items);

const exported = (/** @type {PhotoObject[]} */ items) => items.filter(hasMask).map(({name, colour, undo: {states, index}, clean, predicted_iou}) => (
  {name, colour, interactions: states[index], clean, predicted_iou}));

/** Whether users gave an object its name. @param {string} name */
export const isNamed = (name) => !DEFAULT_NAME.test(name);

/** Creates the list of objects, with one that has no mask yet. The undo stack holds the interactions of the object that
 * is edited; `onShow` shows the mask of the interactions just restored into it.
 * `classColour` returns the colour of a class, or null for a name that is none; `defaultClass` the name of a kept object
 * that has no name yet, '' for none.
 * @param {{undoStack: UndoStack, maxObjects: number, onShow: (reply: Reply) => void, onChange: () => void, onFull: () => void,
 *   classColour?: (name: string) => string | null, defaultClass?: () => string}} options */
export function createObjects({undoStack, maxObjects, onShow, onChange, onFull, classColour = () => null, defaultClass = () => ''}) {
  let items = /** @type {PhotoObject[]} */ ([]);
  let lastId = 0;
  let removed = /** @type {PhotoObject | null} */ (null);  // the last one, which may come back
  let exclusive = /** @type {Exclusive} */ (null);
  let clean = true;             // of new objects
  let active = create();

  const listed = () => items.filter((item) => hasMask(item) || (item === active && item.original));

  const find = (/** @type {number} */ id) => items.find((item) => item.id === id);

  /** Appends a new object. Its name and colour are not those of another one or of the removed one. */
  function create(/** @type {Partial<PhotoObject>} */ given = {}) {
    const others = removed ? [...items, removed] : items;
    const numbers = others.map(({name}) => Number(DEFAULT_NAME.exec(name)?.[1] ?? 0));
    const uses = PALETTE.map((colour) => others.filter((item) => item.colour === colour).length);
    const item = {
      visible: true, clean, reply: null, undo: {states: [[]], index: 0}, original: null,
      predicted_iou: null, ...given,
      id: ++lastId,
      name: given.name || 'Object ' + (Math.max(0, ...numbers) + 1),
      colour: classColour(given.name ?? '') ?? PALETTE[uses.indexOf(Math.min(...uses))],
    };
    items = [...items, item];
    return item;
  }

  function setName(/** @type {PhotoObject} */ item, /** @type {string} */ name) {
    if (!name) return;
    Object.assign(item, {name, colour: classColour(name) ?? item.colour});
  }

  /** Ends editing. Without a mask the active object becomes what it was before; a new one disappears. */
  function leave() {
    if (hasMask(active)) Object.assign(active, {undo: undoStack.save(), original: null});
    else if (active.original) Object.assign(active, {...active.original, original: null});
    else items = items.filter((item) => item !== active);
  }

  function activate(/** @type {PhotoObject} */ item) {
    const {undo, reply} = item;  // restoring the undo stack resets the reply
    active = item;
    undoStack.restore(undo);
    if (reply) onShow(reply);
  }

  function snapshot() {
    active.undo = undoStack.save();
    return {items: items.map((item) => ({...item})), active: active.id, exclusive};
  }

  function hasRoomFor(/** @type {number} */ count) {
    const hasRoom = listed().length + count <= maxObjects;
    if (!hasRoom) onFull();
    return hasRoom;
  }

  return {
    get items() { return listed(); },
    get active() { return active; },
    get exclusive() { return exclusive; },
    set exclusive(next) { exclusive = next; onChange(); },
    /** Of the active object, and of those that are begun after it. */
    get clean() { return active.clean; },
    set clean(next) { clean = active.clean = next; onChange(); },
    /** For the stage, which draws the mask that is edited itself. @returns {DrawnObject[]} */
    get drawn() {
      return items.filter(hasMask).map((item) => ({
        rle: item.reply.rle, colour: item.colour, predicted_iou: predictedIou(item), isShown: item.visible && item !== active,
      }));
    },
    /** For the server: all objects with a mask, visible or not. */
    get exported() { return exportedObjects(snapshot()); },
    /** The same of some objects, in their order. @param {PhotoObject[]} some */
    exportedOf(some) {
      active.undo = undoStack.save();
      return exported(some);
    },
    /** The uppermost object that shows at an imagePoint within the photo and is not active, or null. */
    at(/** @type {Point} */ {x, y}, /** @type {Size} */ photo) {
      const hit = items.filter(hasMask).filter((item) => {
        const {rle} = item.reply, [height, width] = rle.size;
        const pixel = pixelAt({x: x / photo.width * width, y: y / photo.height * height}, {width, height});
        return item !== active && item.visible && hasPixel(rle, pixel.x, pixel.y);
      });
      return hit.pop() ?? null;
    },
    /** Sets the reply to the interactions in the undo stack. @param {Reply | null} reply */
    setReply(reply) {
      if (active.reply === reply) return;
      active.reply = reply;
      onChange();
    },
    /** Replaces the browser's own mask of a kept object by the server's for the same interactions.
     * @type {(interactions: Interaction[], reply: Reply) => void} */
    confirm(interactions, reply) {
      const item = items.find(({reply: own, undo}) => own?.isLocal && undo.states[undo.index] === interactions);
      if (!item || item === active) return;
      item.reply = reply;
      onChange();
    },
    /** Keeps the active object and begins another one. */
    next() {
      if (!hasMask(active) || !hasRoomFor(1)) return;
      if (!active.original && !isNamed(active.name)) setName(active, defaultClass());
      leave();
      activate(create());
      onChange();
    },
    edit(/** @type {number} */ id) {
      const item = find(id);
      if (!item || item === active) return;
      leave();
      item.visible = true;
      item.original = {undo: item.undo, reply: item.reply, clean: item.clean};
      activate(item);
      onChange();
    },
    /** Renames an object. Returns what takes that back; null where nothing changes, as by an empty name.
     * @type {(id: number, name: string) => (() => void) | null} */
    rename(id, name) {
      const item = find(id);
      if (!item) return null;
      const former = {name: item.name, colour: item.colour};
      setName(item, name.trim());
      onChange();
      return item.name === former.name ? null : () => {
        Object.assign(item, former);
        onChange();
      };
    },
    /** Gives all objects the colours of their classes. */
    recolour() {
      for (const item of items) item.colour = classColour(item.name) ?? item.colour;
      onChange();
    },
    /** Gives all objects of a class another name. @type {(from: string, to: string) => void} */
    renameClass(from, to) {
      items.filter(({name}) => name === from).forEach((item) => setName(item, to));
      onChange();
    },
    /** Shows or hides an object, unless it is active. @param {number} id */
    toggle(id) {
      const item = find(id);
      if (!item || item === active) return;
      item.visible = !item.visible;
      onChange();
    },
    /** Deletes an object. Returns it, and what brings it back to its place. @param {number} id */
    remove(id) {
      const item = find(id);
      if (!item) return null;
      const index = items.indexOf(item);
      if (item === active) leave();  // saves its undo stack
      items = items.filter((other) => other !== item);
      removed = item;
      if (item === active) activate(create());
      onChange();
      return {item, restore() {
        items = [...items.slice(0, index), item, ...items.slice(index)];
        if (removed === item) removed = null;
        onChange();
      }};
    },
    /** Adds masks of the photo's own size as objects. Returns what removes those that are not edited, or null where
     * there is no room. */
    add(/** @type {{rle: Rle, predicted_iou: number | null, name?: string}[]} */ masks) {
      if (!hasRoomFor(masks.length)) return null;
      const added = masks.map(({name, rle, predicted_iou}) => create({
        name, predicted_iou,
        reply: {rle, coverage: coverage(rle), index: 0, predicted_iou, candidates: [], ms: 0},
        undo: {states: [[{type: 'mask', rle}]], index: 0},
      }));
      // An object that was not begun yet comes after them.
      if (!hasMask(active) && !active.original) items = [...items.filter((item) => item !== active), active];
      onChange();
      return () => {
        items = items.filter((item) => item === active || !added.includes(item));
        onChange();
      };
    },
    /** Another photo: no objects, no interactions. */
    reset() {
      items = [];
      removed = exclusive = null;
      activate(create());
      onChange();
    },
    snapshot,
    restore(/** @type {ObjectsSnapshot} */ snapshot) {
      items = snapshot.items.map((item) => ({...item, colour: classColour(item.name) ?? item.colour}));
      removed = null;
      exclusive = snapshot.exclusive;
      lastId = Math.max(...items.map(({id}) => id));
      activate(find(snapshot.active) ?? create());
      onChange();
    },
  };
}

/** @typedef {{name: string, rle: Rle, predicted_iou: number | null}} GivenObject */

/** Those of the objects that are not among the work in a photo yet, so that opening a file twice, or one that was exported
 * from that work, does not double them: equal names, and masks that are equal at the size of a thumbnail.
 * @type {(work: ObjectsSnapshot | null, given: GivenObject[]) => GivenObject[]} */
export function newOnes(work, given) {
  const known = (work?.items ?? []).filter(hasMask).map(({name, reply: {rle, coverage: share}}) => ({name, rle, share}));
  const small = new Map(), size = given.length ? displaySize(given[0].rle, COMPARED_SIDE) : null;
  const smallOf = (/** @type {Rle} */ rle) => {
    if (size && !small.has(rle)) small.set(rle, insideRanges(rle, size));
    return small.get(rle);
  };
  return given.filter(({name, rle}) => {
    const share = coverage(rle);
    return !known.some((one) => one.name === name && (one.rle.counts === rle.counts
      || (Math.abs(one.share - share) <= SAME_SHARE * share && rangesIou(smallOf(one.rle), smallOf(rle)) >= SAME_IOU)));
  });
}

/** The work in a photo without the loaded masks that are for one of another size, and how many those are.
 * @type {(work: ObjectsSnapshot, photo: Size) => {work: ObjectsSnapshot | null, left: number}} */
export function fittingWork(work, {width, height}) {
  const items = work.items.filter(({undo: {states, index}}) => states[index].every((step) => (
    step.type !== 'mask' || (step.rle.size[0] === height && step.rle.size[1] === width))));
  return {work: items.length ? {...work, items} : null, left: work.items.length - items.length};
}

/** The work in a photo with more objects; null where there is no room.
 * @type {(work: ObjectsSnapshot | null, given: GivenObject[],
 *   options: {maxObjects: number, classColour: (name: string) => string | null}) => ObjectsSnapshot | null} */
export function addedTo(work, given, options) {
  const nothing = () => {}, undoStack = createUndoStack(nothing);
  const objects = createObjects({undoStack, onShow: nothing, onChange: nothing, onFull: nothing, ...options});
  if (work) objects.restore(work);
  return objects.add(given) && objects.snapshot();
}

/** @typedef {ReturnType<typeof createObjects>} Objects */
