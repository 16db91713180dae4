// The photos of this tab: adding and showing them, and keeping what is done in each.
/** @import {Page} from './page.js' */
import {exportedObjects} from '../core/objects.js';
import {neighbour, withChange, withPhotos, without} from '../core/photo_set.js';

const NOT_KEPT = 'The browser has no room for your work, or keeps none. Download it before you close the page.';
const PHOTO_NOT_KEPT = 'The browser has no room for all photos. Your objects are kept: after a reload, open the photos again.';

/** @typedef {{
 *   work: (key: string) => Promise<KeptWork | null>, changeWorks: (change: (work: KeptWork) => KeptWork) => Promise<void>, saveWork: (key: string, work: Work) => Promise<void>,
 *   photo: (key: string) => Promise<{file: File, thumbnail: Blob | null} | null>,
 *   savePhoto: (key: string, photo: {file: File, thumbnail: Blob | null}, own: Set<string>) => Promise<boolean>,
 *   saveSet: (photos: SetPhoto[], current: string) => Promise<void>,
 *   loadSet: () => Promise<{current: string, photos: {key: string, name: string}[]} | null>,
 *   removeOld: () => Promise<void>, removeAll: () => Promise<void>}} WorkStore */

/** `capture` returns the work in the open photo, which `restore` replaces by what another tab has kept; `open` opens a photo
 * and returns whether that worked, `cancel` ends opening, `close` closes the open photo; `thumbnail` makes a small picture of a file.
 * @param {Page} page
 * @param {{workStore: WorkStore, contentKey: (file: File) => Promise<string>, thumbnail: (file: Blob) => Promise<Blob | null>,
 *   capture: () => ObjectsSnapshot, restore: (work: ObjectsSnapshot) => void, cancel: () => void, close: () => void,
 *   open: (file: File, options: {key: string, work: ObjectsSnapshot | null, click?: Point}) => Promise<boolean>,
 *   prepare: (file: File) => void}} options */
export function createPhotoSet({store, limits, fail, tell, setBusy}, {
  workStore, contentKey, thumbnail, capture, restore, cancel, close, open, prepare,
}) {
  const writer = crypto.randomUUID?.() ?? String(Math.random());
  let openKey = '';             // of the photo whose work is kept; none while one replaces another
  let savedAt = 0;              // of that work
  let isStale = false, isSaving = false;
  const warnings = new Set();   // each is shown once
  let shownKey = '';            // of the photo that was asked for last: a reload shows it
  let shows = 0;                // the newest photo to show wins
  let filling = Promise.resolve();      // thumbnails, one after the other

  const keys = () => new Set(store.get().photos.map(({key}) => key));
  const find = (/** @type {string} */ key) => store.get().photos.find((photo) => photo.key === key);

  function setPhotos(/** @type {SetPhoto[]} */ photos) {
    store.set({photos});
    workStore.saveSet(photos, shownKey);
  }

  /** @type {(key: string, change: Partial<SetPhoto>) => void} */
  const change = (key, fields) => store.set({photos: withChange(store.get().photos, key, fields)});

  /** @type {(text: string, show: (text: string) => void) => void} */
  function warn(text, show) {
    if (!warnings.has(text)) show(text);
    warnings.add(text);
  }

  /** Keeps the work in the open photo as it is now. */
  async function saveNow() {
    const {photo, objects} = store.get();
    isStale = false;
    savedAt = Date.now();
    try {
      const isDone = find(openKey)?.isDone ?? false;
      const {file, width, height} = /** @type {Photo} */ (photo);
      await workStore.saveWork(openKey, {
        name: file.name, size: [height, width], work: capture(), count: objects.length, isDone, writer,
      });
      store.set({isKept: true});
    } catch {
      store.set({isKept: false});
      warn(NOT_KEPT, fail);
    }
  }

  /** Keeps the work soon: the newest state, once the one before is on disk. */
  async function touch() {
    const {objects} = store.get();
    if (!openKey) return;
    if (find(openKey)?.count !== objects.length) change(openKey, {count: objects.length});
    isStale = true;
    if (isSaving) return;
    isSaving = true;
    while (isStale) await saveNow();
    isSaving = false;
  }

  function saveAtOnce() {
    if (isStale) saveNow();
  }

  /** What another tab has done in the open photo since then shows here too, when the user comes back. */
  async function catchUp() {
    const key = openKey;
    if (!key || document.hidden) return;
    const kept = await workStore.work(key);
    if (!kept || kept.writer === writer || kept.savedAt <= savedAt || openKey !== key) return;
    savedAt = kept.savedAt;
    restore(kept.work);
  }

  /** Shows a photo of the set with the work in it; `click` is where to click, as shares of its width and height.
   * @type {(key: string, click?: Point) => Promise<boolean>} */
  async function show(key, click) {
    const mine = ++shows, photo = find(key);
    if (!photo) return false;
    if (key === openKey) {
      cancel();
      return true;
    }
    const [file, kept] = await Promise.all([fileOf(key), workStore.work(key)]);
    if (mine !== shows) return false;
    if (!file) return Boolean(fail(`The browser does not have “${photo.name}” any more. Open its file again; your objects are kept.`));
    change(key, {file});
    shownKey = key;
    workStore.saveSet(store.get().photos, key);
    const isOpen = await open(file, {key, work: kept?.work ?? null, click});
    if (isOpen) prepareNext();
    return isOpen;
  }

  function prepareNext() {
    const next = neighbour(store.get().photos, openKey, 1);
    if (next?.file) prepare(next.file);
  }

  async function step(/** @type {number} */ places) {
    const next = neighbour(store.get().photos, openKey, places);
    if (next) await show(next.key);
  }

  /** Keeps a photo that was added, with its thumbnail and what is known of it. @param {string} key */
  async function fill(key) {
    const photo = find(key);
    if (!photo?.file) return;
    const [picture, kept] = await Promise.all([thumbnail(photo.file), workStore.work(key)]);
    change(key, {thumbnail: picture, ...(kept && key !== openKey && {count: kept.count, isDone: kept.isDone})});
    if (await workStore.savePhoto(key, {file: photo.file, thumbnail: picture}, keys())) return;
    warn(PHOTO_NOT_KEPT, (text) => store.set({alert: {text, kind: 'note'}}));
  }

  /** Adds photos and shows the first of them; `click` as for `show`.
   * @type {(files: File[], click?: Point) => Promise<void>} */
  async function add(files, click) {
    let first = '', isNew = false;
    for (const [index, file] of files.entries()) {
      if (file.size > limits.max_mb * 1e6) {
        fail(`“${file.name}” is larger than ${limits.max_mb} MB. Use a smaller photo.`);
        continue;
      }
      if (index > 0) setBusy(`Adding photos: ${index + 1} of ${files.length}…`);
      const key = await contentKey(file).catch(() => null);
      if (!key) {
        fail(`“${file.name}” could not be read. Choose it again.`);
        continue;
      }
      const isKnown = Boolean(find(key));
      if (isKnown) change(key, {file});
      else store.set({photos: withPhotos(store.get().photos, [{key, name: file.name, file, thumbnail: null, count: 0, isDone: false}])});
      if (first) continue;
      first = key;
      isNew = !isKnown;
      const shown = show(key, click);
      if (files.length === 1 && !await shown && isNew && !find(key)?.count) drop(key);
    }
    if (files.length > 1 && !store.get().isOpening) setBusy('');
    setPhotos(store.get().photos);
    prepareNext();
    fillAll();
  }

  function fillAll() {
    for (const {key, thumbnail: picture} of store.get().photos) {
      if (!picture) filling = filling.then(() => fill(key));
    }
  }

  const drop = (/** @type {string} */ key) => setPhotos(without(store.get().photos, key));

  /** Takes a photo out of the set; what was done in it stays in the browser. @param {string} key */
  async function remove(key) {
    const {photos} = store.get(), removed = find(key);
    if (!removed) return;
    const next = neighbour(photos, key, 1) ?? neighbour(photos, key, -1);
    if (key === openKey) {
      if (!next) close();
      else if (!await show(next.key)) return;
    }
    drop(key);
    tell(`“${removed.name}” was removed from the set.`, () => setPhotos(photos));
  }

  function toggleDone() {
    if (!openKey) return;
    change(openKey, {isDone: !find(openKey)?.isDone});
    touch();
  }

  /** What is kept of a photo, that of the open one being what it is now. @type {(key: string) => Promise<Work | null>} */
  async function work(key) {
    if (key === openKey && isStale) await saveNow();
    return workStore.work(key);
  }

  /** @type {(key: string) => Promise<File | null>} */
  const fileOf = async (key) => find(key)?.file ?? (await workStore.photo(key))?.file ?? null;

  /** Adds photos with the work in them, and shows the first. What is done already in one of them stays.
   * @param {{key: string, name: string, size: [height: number, width: number], isDone: boolean, work: ObjectsSnapshot, file: File | null}[]} photos */
  async function bring(photos) {
    for (const {key, name, size, isDone, work: snapshot, file} of photos) {
      const count = exportedObjects(snapshot).length, kept = await workStore.work(key);
      if (!kept?.count) await workStore.saveWork(key, {name, size, work: snapshot, count, isDone, writer: ''});
      store.set({photos: withPhotos(store.get().photos, [{key, name, file, thumbnail: null, count: kept?.count || count, isDone}])});
    }
    setPhotos(store.get().photos);
    fillAll();
    if (photos.length) await show(photos[0].key);
  }

  /** Gives all objects of a class another name, in the photos that are not open. @type {(from: string, to: string) => void} */
  function renameClass(from, to) {
    workStore.changeWorks((kept) => ({...kept, work: {
      ...kept.work, items: kept.work.items.map((item) => (item.name === from ? {...item, name: to} : item)),
    }}));
  }

  /** Deletes all that the browser keeps, and closes all photos. */
  async function forget() {
    shows++;
    close();
    store.set({photos: []});
    await workStore.removeAll();
  }

  window.addEventListener('pagehide', saveAtOnce);
  window.addEventListener('focus', catchUp);
  document.addEventListener('visibilitychange', () => (document.hidden ? saveAtOnce() : catchUp()));
  window.addEventListener('beforeunload', (event) => { if (!store.get().isKept) event.preventDefault(); });

  return {
    add, show, remove, touch, work, fileOf, renameClass, restore: bring,
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
    /** Brings back the set that an earlier page of this tab had. */
    async load() {
      await workStore.removeOld();
      const kept = await workStore.loadSet();
      if (!kept || store.get().photos.length) return;
      const photos = await Promise.all(kept.photos.map(async ({key, name}) => {
        const [photo, work] = await Promise.all([workStore.photo(key), workStore.work(key)]);
        return {
          key, name, file: photo?.file ?? null, thumbnail: photo?.thumbnail ?? null, count: work?.count ?? 0, isDone: work?.isDone ?? false,
        };
      }));
      if (store.get().photos.length) return;
      store.set({photos});
      if (photos.some(({key}) => key === kept.current)) await show(kept.current);
    },
    commands: {'forget': forget, 'photo-previous': () => step(-1), 'photo-next': () => step(1), 'photo-done': toggleDone},
  };
}
