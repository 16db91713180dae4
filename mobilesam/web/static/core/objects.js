// The objects of a photo, each with a name, a colour and interactions. One is active: it is being edited, its
// interactions are in the undo stack of the page, and its mask is on the stage.
/** @import {UndoStack} from './undo_stack.js' */
import {pixelAt} from './geometry.js';
import {PALETTE} from './palette.js';
import {coverage, hasPixel} from './rle.js';

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

/** Creates the list of objects, with one that has no mask yet. The undo stack holds the interactions of the object that
 * is edited; `onShow` shows the mask of the interactions just restored into it.
 * @param {{undoStack: UndoStack, maxObjects: number, onShow: (reply: Reply) => void, onChange: () => void,
 *   onFull: () => void}} options */
export function createObjects({undoStack, maxObjects, onShow, onChange, onFull}) {
  let items = /** @type {PhotoObject[]} */ ([]);
  let lastId = 0;
  let removed = /** @type {{item: PhotoObject, index: number} | null} */ (null);
  let exclusive = /** @type {Exclusive} */ (null);
  let isChanged = false;        // since the last export
  let clean = true;             // of new objects
  let active = create();

  const listed = () => items.filter((item) => hasMask(item) || (item === active && item.original));

  const find = (/** @type {number} */ id) => items.find((item) => item.id === id);

  /** Appends a new object. Its name and colour are not those of another one or of the removed one, which may come back. */
  function create(/** @type {Partial<PhotoObject>} */ given = {}) {
    const others = removed ? [...items, removed.item] : items;
    const numbers = others.map(({name}) => Number(DEFAULT_NAME.exec(name)?.[1] ?? 0));
    const uses = PALETTE.map((colour) => others.filter((item) => item.colour === colour).length);
    const item = {
      visible: true, clean, reply: null, undo: {states: [[]], index: 0}, original: null,
      predicted_iou: null, ...given,
      id: ++lastId,
      name: given.name || 'Object ' + (Math.max(0, ...numbers) + 1),
      colour: PALETTE[uses.indexOf(Math.min(...uses))],
    };
    items = [...items, item];
    return item;
  }

  function changed() {
    isChanged = true;
    onChange();
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

  function hasRoomFor(/** @type {number} */ count) {
    const hasRoom = listed().length + count <= maxObjects;
    if (!hasRoom) onFull();
    return hasRoom;
  }

  return {
    get items() { return listed(); },
    get active() { return active; },
    get exclusive() { return exclusive; },
    set exclusive(next) { exclusive = next; changed(); },
    /** Of the active object, and of those that are begun after it. */
    get clean() { return active.clean; },
    set clean(next) { clean = active.clean = next; changed(); },
    /** Whether opening another photo would lose objects that were not exported. */
    get isUnsaved() { return isChanged && listed().some((item) => item !== active || item.original); },
    markSaved() { isChanged = false; },
    /** For the stage, which draws the mask that is edited itself. @returns {DrawnObject[]} */
    get drawn() {
      return items.filter(hasMask).map((item) => ({
        rle: item.reply.rle, colour: item.colour, predicted_iou: predictedIou(item), isShown: item.visible && item !== active,
      }));
    },
    /** For the server: all objects with a mask, visible or not. */
    get exported() {
      return items.filter(hasMask).map((item) => {
        const {states, index} = item === active ? undoStack.save() : item.undo;
        return {
          name: item.name, colour: item.colour, interactions: states[index], clean: item.clean, predicted_iou: item.predicted_iou,
        };
      });
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
      changed();
    },
    /** Keeps the active object and begins another one. */
    next() {
      if (!hasMask(active) || !hasRoomFor(1)) return;
      leave();
      activate(create());
      changed();
    },
    edit(/** @type {number} */ id) {
      const item = find(id);
      if (!item || item === active) return;
      leave();
      item.visible = true;
      item.original = {undo: item.undo, reply: item.reply, clean: item.clean};
      activate(item);
      changed();
    },
    /** Renames an object; an empty name changes nothing. @type {(id: number, name: string) => void} */
    rename(id, name) {
      const item = find(id);
      if (!item) return;
      item.name = name.trim() || item.name;
      changed();
    },
    /** Shows or hides an object, unless it is active. @param {number} id */
    toggle(id) {
      const item = find(id);
      if (!item || item === active) return;
      item.visible = !item.visible;
      changed();
    },
    /** Deletes an object; `restoreRemoved` brings it back. @param {number} id */
    remove(id) {
      const item = find(id);
      if (!item) return null;
      const index = items.indexOf(item);
      if (item === active) leave();  // saves its undo stack
      items = items.filter((other) => other !== item);
      removed = {item, index};
      if (item === active) activate(create());
      changed();
      return item;
    },
    restoreRemoved() {
      if (!removed) return;
      items = [...items.slice(0, removed.index), removed.item, ...items.slice(removed.index)];
      removed = null;
      changed();
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
      changed();
      return () => {
        items = items.filter((item) => item === active || !added.includes(item));
        changed();
      };
    },
    /** Another photo: no objects, no interactions. */
    reset() {
      items = [];
      removed = exclusive = null;
      activate(create());
      isChanged = false;
      onChange();
    },
    snapshot() {
      active.undo = undoStack.save();
      return {items: items.map((item) => ({...item})), active: active.id, exclusive};
    },
    restore(/** @type {ObjectsSnapshot} */ snapshot) {
      items = snapshot.items.map((item) => ({...item}));
      exclusive = snapshot.exclusive;
      lastId = Math.max(...items.map(({id}) => id));
      activate(find(snapshot.active) ?? create());
      changed();
    },
  };
}

/** @typedef {ReturnType<typeof createObjects>} Objects */
