// The photos of this tab: adding, showing and removing them.
/** @import {KeptWorks} from './kept_work.js' */
/** @import {ProjectPhoto} from '../core/project_file.js' */
/** @import {Page} from './page.js' */
import {quoted} from '../core/names.js';
import {exportedObjects} from '../core/objects.js';
import {neighbour, withChange, withPhotos, without} from '../core/photo_set.js';

const PHOTO_NOT_KEPT = 'The browser has no room for all photos. Your objects are kept: after a reload, open the photos again.';

/** @typedef {{
 *   photo: (key: string) => Promise<{file: File, thumbnail: Blob | null} | null>,
 *   savePhoto: (key: string, photo: {file: File, thumbnail: Blob | null}, own: Set<string>) => Promise<boolean>,
 *   saveSet: (photos: SetPhoto[], current: string) => Promise<void>,
 *   loadSet: () => Promise<{current: string, photos: {key: string, name: string}[]} | null>,
 *   removeOld: () => Promise<void>, removeAll: () => Promise<void>}} PhotoStore */

/** `open` opens a photo and returns whether that worked, which `cancel` ends; `close` closes the open photo; `prepare` has
 * the server encode one ahead of time; `thumbnail` makes a small picture of a file.
 * @param {Page} page
 * @param {{kept: KeptWorks, photoStore: PhotoStore, contentKey: (file: File) => Promise<string>,
 *   thumbnail: (file: Blob) => Promise<Blob | null>, cancel: () => void, close: () => void,
 *   open: (file: File, options: {key: string, workOf: () => Promise<ObjectsSnapshot | null>, click?: Point}) => Promise<boolean | null>,
 *   prepare: (file: File) => void}} options */
export function createPhotoSet({store, limits, fail, warn, did, setBusy}, {
  kept, photoStore, contentKey, thumbnail, cancel, close, open, prepare,
}) {
  let shows = 0;                // the newest photo to show wins
  let generation = 0;           // what was begun before everything was deleted ends
  let filling = Promise.resolve();      // thumbnails, one after the other
  let hasWarned = false;

  const keys = () => new Set(store.get().photos.map(({key}) => key));
  const find = (/** @type {string} */ key) => store.get().photos.find((photo) => photo.key === key);

  function setPhotos(/** @type {SetPhoto[]} */ photos) {
    store.set({photos});
    photoStore.saveSet(photos, store.get().shownKey);
  }

  /** @type {(key: string, change: Partial<SetPhoto>) => void} */
  const change = (key, fields) => store.set({photos: withChange(store.get().photos, key, fields)});

  /** Shows a photo of the set with the work in it; `click` is where to click, as shares of its width and height.
   * It returns whether that worked, null if another one took its place.
   * @type {(key: string, click?: Point) => Promise<boolean | null>} */
  async function show(key, click) {
    const mine = ++shows, photo = find(key);
    if (!photo) return false;
    store.set({shownKey: key});
    const file = await fileOf(key);
    if (mine !== shows) return null;
    if (!file) return Boolean(fail(`The browser does not have ${quoted(photo.name)} any more. Open its file again; your objects are kept.`));
    change(key, {file});
    photoStore.saveSet(store.get().photos, key);
    const isOpen = await open(file, {key, click, workOf: async () => (await kept.work(key))?.work ?? null});
    if (isOpen) prepareNext();
    if (isOpen === false) store.set({shownKey: kept.openKey});
    return isOpen;
  }

  function prepareNext() {
    const next = neighbour(store.get().photos, kept.openKey, 1);
    if (next?.file) prepare(next.file);
  }

  async function step(/** @type {number} */ places) {
    const next = neighbour(store.get().photos, store.get().shownKey, places);
    if (next) await choose(next.key);
  }

  /** Keeps a photo that was added, with its thumbnail and what is known of it. @param {string} key */
  async function fill(key) {
    const photo = find(key), mine = generation;
    if (!photo?.file) return;
    const [picture, work] = await Promise.all([thumbnail(photo.file), kept.work(key)]);
    change(key, {thumbnail: picture, ...(work && key !== kept.openKey && {count: work.count, isDone: work.isDone})});
    if (mine !== generation || await photoStore.savePhoto(key, {file: photo.file, thumbnail: picture}, keys()) || hasWarned) return;
    hasWarned = true;
    warn(PHOTO_NOT_KEPT);
  }

  /** Shows another photo than the open one. @param {string} key */
  function choose(key) {
    if (key !== kept.openKey) return show(key);
    shows++;
    store.set({shownKey: key});
    cancel();
    return true;
  }

  /** Adds photos and shows the first of them; `click` as for `show`.
   * @type {(files: File[], click?: Point) => Promise<void>} */
  async function add(files, click) {
    let first = '', isNew = false, shown = /** @type {Promise<boolean | null>} */ (Promise.resolve(true));
    const mine = generation;
    for (const [index, file] of files.entries()) {
      if (file.size > limits.max_mb * 1e6) {
        fail(`${quoted(file.name)} is larger than ${limits.max_mb} MB. Use a smaller photo.`);
        continue;
      }
      if (index > 0) setBusy(`Adding photos: ${index + 1} of ${files.length}…`);
      const key = await contentKey(file).catch(() => null);
      if (mine !== generation) return;
      if (!key) {
        fail(`${quoted(file.name)} could not be read. Choose it again.`);
        continue;
      }
      const isKnown = Boolean(find(key));
      if (isKnown) change(key, {file, ...(!find(key)?.file && {thumbnail: null})});      // it is kept again
      else store.set({photos: withPhotos(store.get().photos, [{key, name: file.name, file, thumbnail: null, count: 0, isDone: false}])});
      if (first) continue;
      first = key;
      isNew = !isKnown;
      shown = show(key, click);
    }
    if (files.length > 1 && !store.get().isOpening) setBusy('');
    setPhotos(store.get().photos);
    fillAll();
    if (await shown === false && files.length === 1 && isNew && !find(first)?.count) drop(first);    // it is no photo
    prepareNext();
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
    const index = photos.indexOf(removed), next = neighbour(photos, key, 1) ?? neighbour(photos, key, -1);
    drop(key);
    if (key === kept.openKey || key === store.get().shownKey) {
      if (next) await choose(next.key);
      else close();
    }
    did(() => {
      const now = store.get().photos;
      if (!now.some((photo) => photo.key === key)) setPhotos([...now.slice(0, index), removed, ...now.slice(index)]);
    }, {text: `${quoted(removed.name)} was removed from the set.`});
  }

  function toggleDone() {
    const key = kept.openKey;
    if (!key) return;
    change(key, {isDone: !find(key)?.isDone});
    kept.touch();
  }

  /** @type {(key: string) => Promise<File | null>} */
  const fileOf = async (key) => find(key)?.file ?? (await photoStore.photo(key))?.file ?? null;

  /** Adds photos with the work in them, and shows the first. What is done already in one of them stays.
   * @param {ProjectPhoto[]} photos */
  async function bring(photos) {
    const mine = generation;
    let first = '';
    for (const {name, size, isDone, work: snapshot, file, ...photo} of photos) {
      const key = file ? await contentKey(file) : photo.key, own = await kept.work(key);
      if (mine !== generation) return;
      const count = own?.count || (snapshot ? exportedObjects(snapshot).length : 0);
      if (snapshot && size && !own?.count) await kept.put(key, {name, size, work: snapshot, count, isDone});
      const there = find(key);
      if (there) change(key, {count, isDone: there.isDone || isDone, file: there.file ?? file});
      else store.set({photos: withPhotos(store.get().photos, [{key, name, file, thumbnail: null, count, isDone}])});
      first ||= key;
    }
    setPhotos(store.get().photos);
    fillAll();
    if (first) await choose(first);
  }

  /** Closes all photos; what was done in them stays in the browser. */
  function closePhotos() {
    shows++;
    generation++;
    store.set({shownKey: ''});
    close();
    setPhotos([]);
  }

  /** Deletes all that the browser keeps, and closes all photos. */
  async function forget() {
    if (!window.confirm('Delete all photos, objects and classes that this browser keeps? This cannot be undone.')) return;
    closePhotos();
    store.set({classes: [], lastClass: ''});
    kept.clear();
    await photoStore.removeAll();
    store.set({alert: {text: 'Everything was deleted.', kind: 'note'}});
  }

  return {
    add, choose, remove, fileOf, restore: bring,
    /** Ends opening another photo than the open one. */
    stay: () => choose(kept.openKey),
    /** @type {(key: string, count: number) => void} */
    setCount: (key, count) => change(key, {count}),
    /** Brings back the set that an earlier page of this tab had. */
    async load() {
      await photoStore.removeOld();
      const saved = await photoStore.loadSet();
      if (!Array.isArray(saved?.photos) || store.get().photos.length) return;
      const named = saved.photos.filter((photo) => typeof photo?.key === 'string' && typeof photo.name === 'string');
      const photos = await Promise.all(named.map(async ({key, name}) => {
        const [photo, work] = await Promise.all([photoStore.photo(key), kept.work(key)]);
        return {
          key, name, file: photo?.file ?? null, thumbnail: photo?.thumbnail ?? null, count: work?.count ?? 0, isDone: work?.isDone ?? false,
        };
      }));
      if (store.get().photos.length) return;
      store.set({photos});
      if (photos.some(({key}) => key === saved.current)) await show(saved.current);
    },
    commands: {'forget': forget, 'set-close-photos': closePhotos, 'photo-previous': () => step(-1), 'photo-next': () => step(1), 'photo-done': toggleDone},
  };
}
