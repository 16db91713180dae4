// The objects of a photo: the things that the visitor keeps, each with a name, a colour and clicks of
// its own. One of them is being worked on: its clicks are the history, its mask is on the stage.
//
// item: {id, name, colour, visible, reply, saved, before, iou}: the last reply to it; its history while
//   another one is worked on; {saved, reply} of it as it was taken up again, null for a new one; what
//   a file said of its predicted IoU.

const PALETTE = [             // none near the blue of the mask that is being worked on
  '#f97316', '#22c55e', '#d946ef', '#facc15', '#ef4444', '#06b6d4', '#a3e635', '#f472b6', '#a16207', '#8b5cf6',
];
const NOTHING_DONE = Object.freeze({states: [[]], at: 0});
const DEFAULT_NAME = /^Object (\d+)$/;

const hasMask = ({reply}) => Boolean(reply && reply.share);

/**
 * The objects.
 *   history: of the page, lent to the object that is worked on
 *   most: how many there can be
 *   onShow(reply): this is the mask of the clicks that were put into the history
 *   onChange(): something of what is read here has changed
 *   onFull(): there is no room for one more
 */
function createObjects({history, most, onShow, onChange, onFull}) {
  let items = [], active = null, ids = 0, deleted = null, keep = null;
  let changes = 0, saved = 0;           // to tell whether something would be lost

  const listed = () => items.filter((item) => hasMask(item) || (item === active && item.before));
  const iouOf = ({reply, iou}) => (reply.predicted_iou === null ? iou : reply.predicted_iou);

  /** Also the one that was deleted last: it may come back. */
  const known = () => (deleted ? [...items, deleted.item] : items);

  function freshName() {
    const numbers = known().map(({name}) => Number((DEFAULT_NAME.exec(name) || [0, 0])[1]));
    return 'Object ' + (Math.max(0, ...numbers) + 1);
  }

  function freshColour() {
    const uses = PALETTE.map((colour) => known().filter((item) => item.colour === colour).length);
    return PALETTE[uses.indexOf(Math.min(...uses))];
  }

  function fresh(given = {}) {
    const item = {
      colour: freshColour(), visible: true, reply: null, saved: NOTHING_DONE, before: null, iou: null,
      ...given, id: ++ids, name: given.name || freshName(),
    };
    items = [...items, item];
    return item;
  }

  function changed() {
    changes++;
    onChange();
  }

  /** Ends the work on the active one: without a mask it is as it was when it was taken up, or gone. */
  function leave() {
    if (hasMask(active)) Object.assign(active, {saved: history.save(), before: null});
    else if (active.before) Object.assign(active, {...active.before, before: null});
    else items = items.filter((item) => item !== active);
  }

  function work(item) {
    const {saved: mine, reply} = item;
    active = item;
    history.restore(mine);
    if (reply) onShow(reply);
  }

  function begin() {
    active = null;
    work(fresh());
  }

  function isFull(more) {
    const full = listed().length + more > most;
    if (full) onFull();
    return full;
  }

  return {
    /** What the list shows, in order. */
    get items() { return listed(); },
    get active() { return active; },
    get canKeep() { return Boolean(active && hasMask(active)); },
    /** Who gets a pixel that several claim: null, 'later' or 'predicted_iou'. */
    get keep() { return keep; },
    set keep(next) { keep = next; changed(); },
    iouOf,
    /** For the stage: all but the active one, which hides nothing of itself. */
    get layer() {
      return listed().filter(hasMask).map((item) => ({
        rle: item.reply.rle, colour: item.colour, iou: iouOf(item), shows: item.visible && item !== active,
      }));
    },
    /** For the server: every object with a mask, shown or not. */
    get exported() {
      return listed().filter(hasMask).map((item) => {
        const {states, at} = item === active ? history.save() : item.saved;
        return {name: item.name, history: states[at], predicted_iou: item.iou};
      });
    },
    /** The one that shows at a place of the photo, the uppermost; not the active one. */
    idAt({x, y}, {width, height}) {
      const there = listed().filter((item) => {
        if (item === active || !item.visible || !hasMask(item)) return false;
        const {rle} = item.reply, [h, w] = rle.size;
        return decodeMask(rle)[Math.floor(x / width * w) * h + Math.floor(y / height * h)];
      }).pop();
      return there ? there.id : null;
    },
    /** Whether another photo would lose work: something was kept, and not saved since. */
    get isUnsaved() { return changes > saved && listed().some((item) => item !== active || item.before); },
    markSaved() { saved = changes; },

    /** The reply to the history, or null where it asks for nothing. */
    answered(reply) {
      if (!active || active.reply === reply) return;
      active.reply = reply;
      changed();
    },
    /** Keeps the active one and begins another. */
    next() {
      if (!hasMask(active) || isFull(1)) return;
      leave();
      begin();
      changed();
    },
    takeUp(id) {
      const item = items.find((one) => one.id === id);
      if (!item || item === active) return;
      leave();
      item.visible = true;
      item.before = {saved: item.saved, reply: item.reply};
      work(item);
      changed();
    },
    rename(id, name) {
      const item = items.find((one) => one.id === id);
      if (!item) return;
      item.name = name.trim() || item.name;
      changed();
    },
    toggle(id) {
      const item = items.find((one) => one.id === id);
      if (!item || item === active) return;
      item.visible = !item.visible;
      changed();
    },
    /** Deletes one; `undelete` brings the last one back to its place. */
    remove(id) {
      const at = items.findIndex((one) => one.id === id), item = items[at];
      if (!item) return null;
      if (item === active) leave();     // keeps its history for undelete
      items = items.filter((one) => one !== item);
      deleted = {item, at};
      if (item === active) begin();
      changed();
      return item;
    },
    undelete() {
      if (!deleted) return;
      items = [...items.slice(0, deleted.at), deleted.item, ...items.slice(deleted.at)];
      deleted = null;
      changed();
    },
    /**
     * Adds masks {name, rle, display, share, predicted_iou} that come from elsewhere; a function that
     * takes away again those that are not worked on, or null where there is no room.
     */
    add(masks) {
      if (isFull(masks.length)) return null;
      const added = masks.map(({name, rle, display, share, predicted_iou: iou}) => {
        const reply = {rle: display, share, index: 0, predicted_iou: iou, candidates: [], ms: 0};
        return fresh({name, reply, iou, saved: {states: [[{type: 'mask', rle}]], at: 0}});
      });
      // What is begun after them comes after them.
      if (!hasMask(active) && !active.before) items = [...items.filter((item) => item !== active), active];
      changed();
      return () => {
        items = items.filter((item) => item === active || !added.includes(item));
        changed();
      };
    },
    /** Another photo: no objects, and the history is empty. */
    reset() {
      items = [];
      deleted = keep = null;
      changes = saved = 0;
      begin();
      onChange();
    },
    /** All of it as plain values, for `restore`. */
    state() {
      const now = {...active, saved: history.save()};
      return {items: items.map((item) => (item === active ? now : {...item})), active: active.id, keep};
    },
    restore(state) {
      items = state.items.map((item) => ({...item}));
      keep = state.keep;
      ids = Math.max(...items.map(({id}) => id));
      work(items.find(({id}) => id === state.active));
      changed();
    },
  };
}
