// Opens annotation files: their objects become those of the photos that they belong to.
/** @import {KeptWorks} from './kept_work.js' */
/** @import {Page} from './page.js' */
import {quoted} from '../core/names.js';
import {addedTo, newOnes} from '../core/objects.js';

const PAUSE_MS = 50;

const pause = () => new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });

/** @typedef {{name: string, rle: Rle, predicted_iou: number | null}} GivenObject */

/** `prepare` makes an annotation file ready for the upload; `addToOpen` adds objects to the open photo and returns whether
 * there was room; `onCount` is told the number of objects of another photo, and `sizeOf` reads the size of one that was never opened.
 * @param {Page} page
 * @param {{call: Call, upload: (file: File) => Promise<ServerReply>, prepare: (file: File) => Promise<File>, kept: KeptWorks,
 *   sizeOf: (key: string) => Promise<[height: number, width: number] | null>, addToOpen: (objects: GivenObject[]) => boolean, onCount: (key: string, count: number) => void,
 *   classes: {use: (name: string) => void, colour: (name: string) => string | null}}} options */
export function createAnnotations({refs, store, limits, fail, clearAlert, tell, setBusy}, {
  call, upload, prepare, kept, sizeOf, addToOpen, onCount, classes,
}) {
  /** What the server needs to know of photos. @param {SetPhoto[]} photos */
  function described(photos) {
    return Promise.all(photos.map(async ({key, name}) => {
      const size = (await kept.work(key))?.size ?? await sizeOf(key) ?? [null, null];
      return {name, sha256: /^[0-9a-f]{64}$/.test(key) ? key : null, height: size[0], width: size[1]};
    }));
  }

  /** Adds objects to a photo that is not open; how many are new, and null where there is no room.
   * @type {(photo: SetPhoto, given: GivenObject[]) => Promise<number | null>} */
  async function addTo({key, name, isDone}, given) {
    const work = await kept.work(key), fresh = newOnes(work?.work ?? null, given);
    if (!fresh.length) return 0;
    given.forEach((one) => classes.use(one.name));
    const snapshot = addedTo(work?.work ?? null, fresh, {maxObjects: limits.max_objects, classColour: classes.colour});
    if (!snapshot) return null;
    const count = (work?.count ?? 0) + fresh.length;
    await kept.put(key, {name, size: fresh[0].rle.size, work: snapshot, count, isDone});
    onCount(key, count);
    return fresh.length;
  }

  const counted = (/** @type {number} */ n, /** @type {string} */ one) => `${n} ${n === 1 ? one : one + 's'}`;

  /** @type {(reply: any, file: File, photos: SetPhoto[]) => Promise<void>} */
  async function take({photos: found, unmatched, skipped}, file, photos) {
    let added = 0, changed = 0, known = 0, full = 0;            // of photos that are not open
    const left = skipped.map((/** @type {any} */ {reason, count}) => `${count} ${reason}`).join(', ');
    const more = left ? `Skipped: ${left}.` : '';
    for (const {index, objects} of found) {
      const photo = store.get().photos.find(({key}) => key === photos[index].key);
      if (!photo) continue;     // it was removed meanwhile
      if (photo.key === kept.openKey) {
        const fresh = newOnes(kept.current(), objects);
        known += objects.length - fresh.length;
        if (fresh.length) addToOpen(fresh);
      } else {
        const count = await addTo(photo, objects);
        if (count === null) full++;
        else [added, changed, known] = [added + count, changed + Number(count > 0), known + objects.length - count];
      }
    }
    if (!found.length && !unmatched.length) return void fail(`${file.name} has no masks for these photos. ${more}`.trim());
    const text = [
      added ? `${counted(added, 'object')} loaded into ${counted(changed, 'other photo')}.` : '',       // a note tells of the open one
      known ? `${counted(known, 'object')} ${known === 1 ? 'was' : 'were'} there already.` : '',
      full ? `${counted(full, 'photo')} had no room.` : '', more,
    ].filter(Boolean).join(' ');
    if (text) store.set({alert: {text, kind: 'note'}});
    if (unmatched.length) askFor(unmatched, file, text);
  }

  /** Photos in the file that are not in the set: one of them may be the open photo under another name.
   * @type {(unmatched: {name: string, count: number}[], file: File, text: string) => void} */
  function askFor(unmatched, file, text) {
    const [{name, count}, ...others] = unmatched, index = store.get().photos.findIndex(({key}) => key === kept.openKey);
    const names = unmatched.map((one) => quoted(one.name)).join(', ');
    store.set({alert: {text: `${text} There is no photo called ${names} here.`.trim(), kind: 'note'}});
    if (!others.length && index >= 0) {
      tell(`${quoted(name)} has ${counted(count, 'object')}. Are they for the open photo?`, () => load([file], {[name]: index}), 'Add them');
    }
  }

  /** Opens annotation files; `assign` has the places of photos by their name in the file.
   * @type {(files: File[], assign?: Record<string, number>) => Promise<void>} */
  async function load(files, assign = {}) {
    if (!store.get().photos.length) return void fail('Open the photos first, then their annotations.');
    for (const file of files) {
      const {photos} = store.get();
      setBusy('Reading the annotations…');
      const sent = await prepare(file), uploaded = await upload(sent);
      const reply = uploaded.ok ? await call('import_annotations', {path: uploaded.path, name: file.name, photos: await described(photos), assign})
        : uploaded;
      setBusy('');
      if (!reply.ok) return void fail(`${file.name}: ${reply.error}`);
      clearAlert();             // of a file before
      while (store.get().isOpening) await pause();        // the objects would get lost in a photo that is about to open
      await take(reply, file, photos);
    }
  }

  refs.maskFile.addEventListener('change', () => {
    const files = Array.from(refs.maskFile.files ?? []);
    if (files.length) load(files);
    refs.maskFile.value = '';
  });

  return {load, commands: {'load-masks': () => refs.maskFile.click()}};
}
