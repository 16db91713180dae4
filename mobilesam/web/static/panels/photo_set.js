// The photos of this tab: adding, showing and removing them.
/** @import {KeptWorks} from './kept_work.js' */
/** @import {ProjectPhoto} from '../core/project_file.js' */
/** @import {Page} from './page.js' */
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
 *   open: (file: File, options: {key: string, work: ObjectsSnapshot | null, click?: Point}) => Promise<boolean>,
 *   prepare: (file: File) => void}} options */
export function createPhotoSet({store, limits, fail, tell, setBusy}, {
  kept, photoStore, contentKey, thumbnail, cancel, close, open, prepare,
}) {
  let shownKey = '';            // of the photo that was asked for last: a reload shows it
  let shows = 0;                // the newest photo to show wins
  let filling = Promise.resolve();      // thumbnails, one after the other
  let hasWarned = false;

  const keys = () => new Set(store.get().photos.map(({key}) => key));
  const find = (/** @type {string} */ key) => store.get().photos.find((photo) => photo.key === key);

  function setPhotos(/** @type {SetPhoto[]} */ photos) {
    store.set({photos});
    photoStore.saveSet(photos, shownKey);
  }

  /** @type {(key: string, change: Partial<SetPhoto>) => void} */
  const change = (key, fields) => store.set({photos: withChange(store.get().photos, key, fields)});

  /** Shows a photo of the set with the work in it; `click` is where to click, as shares of its width and height.
   * @type {(key: string, click?: Point) => Promise<boolean>} */
  async function show(key, click) {
    const mine = ++shows, photo = find(key);
    if (!photo) return false;
    const [file, work] = await Promise.all([fileOf(key), kept.work(key)]);
    if (mine !== shows) return false;
    if (!file) return Boolean(fail(`The browser does not have “${photo.name}” any more. Open its file again; your objects are kept.`));
    change(key, {file});
    shownKey = key;
    photoStore.saveSet(store.get().photos, key);
    const isOpen = await open(file, {key, work: work?.work ?? null, click});
    if (isOpen) prepareNext();
    return isOpen;
  }

  function prepareNext() {
    const next = neighbour(store.get().photos, kept.openKey, 1);
    if (next?.file) prepare(next.file);
  }

  async function step(/** @type {number} */ places) {
    const next = neighbour(store.get().photos, kept.openKey, places);
    if (next) await show(next.key);
  }

  /** Keeps a photo that was added, with its thumbnail and what is known of it. @param {string} key */
  async function fill(key) {
    const photo = find(key);
    if (!photo?.file) return;
    const [picture, work] = await Promise.all([thumbnail(photo.file), kept.work(key)]);
    change(key, {thumbnail: picture, ...(work && key !== kept.openKey && {count: work.count, isDone: work.isDone})});
    if (await photoStore.savePhoto(key, {file: photo.file, thumbnail: picture}, keys()) || hasWarned) return;
    hasWarned = true;
    store.set({alert: {text: PHOTO_NOT_KEPT, kind: 'note'}});
  }

  /** Shows another photo than the open one. @param {string} key */
  function choose(key) {
    if (key !== kept.openKey) return show(key);
    shows++;
    cancel();
  }

  /** Adds photos and shows the first of them; `click` as for `show`.
   * @type {(files: File[], click?: Point) => Promise<void>} */
  async function add(files, click) {
    let first = '', isNew = false, shown = Promise.resolve(true);
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
    if (!await shown && files.length === 1 && isNew && !find(first)?.count) drop(first);    // it is no photo
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
    const next = neighbour(photos, key, 1) ?? neighbour(photos, key, -1);
    if (key === kept.openKey) {
      if (!next) close();
      else if (!await show(next.key)) return;
    }
    drop(key);
    tell(`“${removed.name}” was removed from the set.`, () => setPhotos(photos));
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
    for (const {key, name, size, isDone, work: snapshot, file} of photos) {
      const count = snapshot ? exportedObjects(snapshot).length : 0, own = await kept.work(key);
      if (snapshot && size && !own?.count) await kept.put(key, {name, size, work: snapshot, count, isDone});
      store.set({photos: withPhotos(store.get().photos, [{key, name, file, thumbnail: null, count: own?.count || count, isDone}])});
    }
    setPhotos(store.get().photos);
    fillAll();
    if (photos.length) await show(photos[0].key);
  }

  /** Deletes all that the browser keeps, and closes all photos. */
  async function forget() {
    shows++;
    close();
    store.set({photos: [], classes: [], lastClass: ''});
    kept.clear();
    await photoStore.removeAll();
  }

  return {
    add, choose, remove, fileOf, restore: bring,
    /** @type {(key: string, count: number) => void} */
    setCount: (key, count) => change(key, {count}),
    /** Brings back the set that an earlier page of this tab had. */
    async load() {
      await photoStore.removeOld();
      const saved = await photoStore.loadSet();
      if (!saved || store.get().photos.length) return;
      const photos = await Promise.all(saved.photos.map(async ({key, name}) => {
        const [photo, work] = await Promise.all([photoStore.photo(key), kept.work(key)]);
        return {
          key, name, file: photo?.file ?? null, thumbnail: photo?.thumbnail ?? null, count: work?.count ?? 0, isDone: work?.isDone ?? false,
        };
      }));
      if (store.get().photos.length) return;
      store.set({photos});
      if (photos.some(({key}) => key === saved.current)) await show(saved.current);
    },
    commands: {'forget': forget, 'photo-previous': () => step(-1), 'photo-next': () => step(1), 'photo-done': toggleDone},
  };
}
