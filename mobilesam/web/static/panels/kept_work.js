// Keeps the work in the open photo after every change, and knows that in all others.
/** @import {Page} from './page.js' */
import {withChange} from '../core/photo_set.js';

const NOT_KEPT = 'The browser has no room for your work, or keeps none. Download it before you close the page.';

/** @typedef {{work: (key: string) => Promise<KeptWork | null>, saveWork: (key: string, work: Work) => Promise<void>,
 *   changeWorks: (change: (work: KeptWork) => KeptWork) => Promise<void>}} WorkStore */

/** `capture` returns the work in the open photo, which `restore` replaces by what another tab has kept.
 * @param {Page} page
 * @param {{workStore: WorkStore, capture: () => ObjectsSnapshot, restore: (work: ObjectsSnapshot) => void}} options */
export function createKeptWork({store, warn}, {workStore, capture, restore}) {
  const writer = String(Math.random());         // this page
  const waiting = /** @type {Map<string, Work>} */ (new Map());         // work that is not on disk yet, by the key of its photo
  let openKey = '';             // of the photo whose work is kept; none while one replaces another
  let savedAt = 0;              // of that work
  let isStale = false, isWriting = false, hasWarned = false;

  /** Writes what waits; where the disk is full it goes on waiting, and the next change tries again. */
  async function write() {
    try {
      for (const [key, work] of waiting) {
        await workStore.saveWork(key, work);
        if (waiting.get(key) === work) waiting.delete(key);
      }
      store.set({isKept: true});
    } catch {
      const isKept = Array.from(waiting.values()).every(({count}) => !count);   // there is nothing to lose yet
      store.set({isKept});
      if (!isKept && !hasWarned) warn(NOT_KEPT);
      hasWarned ||= !isKept;
    }
  }

  /** Puts the current work in the open photo among what waits. */
  function enqueue() {
    const {photo, photos, objects} = store.get(), {file, width, height} = /** @type {Photo} */ (photo);
    isStale = false;
    savedAt = Date.now();
    waiting.set(openKey, {
      name: file.name, size: [height, width], work: capture(), count: objects.length, writer,
      isDone: photos.some(({key, isDone}) => key === openKey && isDone),
    });
  }

  /** Keeps the work: the newest state, once the one before is on disk. */
  async function touch() {
    const {objects, photos} = store.get();
    if (!openKey) return;
    if (photos.some(({key, count}) => key === openKey && count !== objects.length)) {
      store.set({photos: withChange(photos, openKey, {count: objects.length})});
    }
    isStale = true;
    if (isWriting) return;
    isWriting = true;
    while (isStale && openKey) {
      enqueue();
      await write();
    }
    isWriting = false;
  }

  function saveAtOnce() {
    if (!isStale) return;
    enqueue();
    write();
  }

  /** The work in a photo, on disk or not. @type {(key: string) => Promise<KeptWork | null>} */
  async function work(key) {
    if (key === openKey && isStale) enqueue();
    const newer = waiting.get(key);
    return newer ? {...newer, savedAt} : workStore.work(key);
  }

  /** What another tab has done in the open photo since then shows here too, when the user comes back. */
  async function catchUp() {
    const key = openKey;
    if (!key || document.hidden) return;
    const kept = await workStore.work(key);
    if (!kept || kept.writer === writer || kept.savedAt <= savedAt || openKey !== key) return;
    savedAt = kept.savedAt;
    store.set({note: null, acts: []});    // of what is no longer there
    restore(kept.work);
  }

  window.addEventListener('pagehide', saveAtOnce);
  window.addEventListener('focus', catchUp);
  document.addEventListener('visibilitychange', () => (document.hidden ? saveAtOnce() : catchUp()));
  window.addEventListener('beforeunload', (event) => { if (!store.get().isKept) event.preventDefault(); });

  return {
    touch, work,
    /** The work in the open photo as it is now. */
    current: capture,
    get openKey() { return openKey; },
    /** To be called before another photo replaces the open one. */
    leave() {
      saveAtOnce();
      openKey = '';
    },
    /** To be called once a photo is open, with its work. @param {string} key */
    arrive(key) {
      openKey = key;
      touch();
    },
    /** Keeps other work in a photo, which shows if that is open. @type {(key: string, work: Omit<Work, 'writer'>) => Promise<void>} */
    async put(key, given) {
      if (key === openKey) return restore(given.work);
      waiting.set(key, {...given, writer});
      await write();
    },
    /** Gives all objects of a class another name, in the photos that are not open. @type {(from: string, to: string) => Promise<void>} */
    renameClass(from, to) {
      /** @type {(kept: any) => any} */
      const renamed = (kept) => ({...kept, work: {
        ...kept.work, items: kept.work.items.map((/** @type {PhotoObject} */ item) => (item.name === from ? {...item, name: to} : item)),
      }});
      for (const [key, one] of waiting) waiting.set(key, renamed(one));
      return workStore.changeWorks(renamed);
    },
    /** Forgets what waits. */
    clear() {
      openKey = '';
      waiting.clear();
    },
  };
}
/** @typedef {ReturnType<typeof createKeptWork>} KeptWorks */
