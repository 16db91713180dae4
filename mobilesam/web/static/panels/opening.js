// Opening photos. The newest one wins; the open photo stays until the next one is ready.
/** @import {Page} from './page.js' */
import {createHeldActs} from '../core/held_acts.js';
import {createIncoming} from './incoming.js';

const CLOCK_MS = 100;

/** @param {ServerReply & {ok: true}} reply */
const encodeCost = ({cached, ms}) => (cached ? 'from cache' : `encoded in ${(ms / 1000).toFixed(ms < 1000 ? 2 : 1)} s`);

/** @param {Size} a @param {Size} b */
const haveSameShape = (a, b) => Math.abs(a.width * b.height - a.height * b.width) <= Math.max(b.width, b.height);

/** `reserve` gives the stage the shape of a photo. `onOpened` also receives the work to restore, and the pixel that was clicked
 * meanwhile; it returns whether that counts.
 * @param {Page} page
 * @param {{loader: PhotoLoader, reserve: (width: number, height: number) => void,
 *   onOpened: (photo: Photo, notes: string[], work: ObjectsSnapshot | null, click: Point | null) => boolean}} options */
export function createOpening(page, {loader, reserve, onOpened}) {
  const {refs, store, limits, fail, setBusy, clearAlert} = page;
  const incoming = createIncoming(refs.incoming, limits.display_side);
  let count = 0;                // of photos; replies for older ones are dropped
  const held = createHeldActs(() => count);
  let reopening = /** @type {Promise<any> | null} */ (null);

  /** Shows the progress and the time. @param {() => boolean} isShown */
  function showProgress(isShown) {
    const started = performance.now();
    let text = 'Opening the photo…';
    setBusy(text);
    const clock = setInterval(() => {
      if (isShown()) setBusy(`${text} ${((performance.now() - started) / 1000).toFixed(1)} s`);
    }, CLOCK_MS);
    return {set: (/** @type {string} */ next) => { text = next; }, end: () => clearInterval(clock)};
  }

  /** @type {(reply: any, key: string, file: File, picture: ImageBitmap | null) => Promise<Photo>} */
  async function toPhoto({token, size: [height, width], preview, decoder}, key, file, picture) {
    const isUsable = picture && !preview && haveSameShape(picture, {width, height});
    return {key, token, file, width, height, decoder, picture: isUsable ? picture : await loader.preview(token)};
  }

  function end() {
    count++;
    incoming.hide();
    store.set({isOpening: false, busyText: ''});
  }

  /** Opens a photo with the work in it, which is read last; whether that worked, null if another one took its place. `click` is where to click, as shares of its width and height.
   * @type {(file: File, options: {key: string, workOf: () => Promise<ObjectsSnapshot | null>, click?: Point}) => Promise<boolean | null>} */
  async function open(file, {key, workOf, click}) {
    refs.stage.scrollIntoView({block: 'nearest'});
    const mine = ++count, isWanted = () => mine === count;
    const isByKeyboard = document.activeElement?.matches('button:focus-visible');
    incoming.hide();
    clearAlert();
    store.set({isOpening: true});
    const progress = showProgress(isWanted);
    try {
      const picture = await createImageBitmap(file).catch(() => null);
      if (picture && isWanted()) {
        if (!store.get().photo) reserve(picture.width, picture.height);
        incoming.show(picture, key, click);
      }
      const reply = await loader.open(file, progress.set, isWanted);
      if (!isWanted()) return null;
      if (!reply.ok) return Boolean(fail(reply.error));
      const photo = await toPhoto(reply, key, file, picture);
      const work = await workOf();
      if (!isWanted()) return null;
      store.set({encodeCost: encodeCost(reply)});
      const clicked = incoming.takeClick(key, photo);
      if (onOpened(photo, reply.notes, work, photo.picture === picture ? clicked : null)) held.release();
      if (isByKeyboard) refs.marks.focus({preventScroll: true});
      return true;
    } catch (error) {
      if (!isWanted()) return null;
      fail('The photo could not be opened: ' + /** @type {Error} */ (error).message);
      return false;
    } finally {
      progress.end();
      if (isWanted()) end();
    }
  }

  /** Opens the photo again that the server no longer knows; everything on the page stays. */
  async function sendAgain() {
    const forgotten = /** @type {Photo} */ (store.get().photo);
    const isWanted = () => store.get().photo === forgotten;
    const isShown = () => isWanted() && !store.get().isOpening;
    const progress = showProgress(isShown);
    loader.forget(forgotten.file);
    const reply = await loader.open(forgotten.file, progress.set, isWanted);
    progress.end();
    if (isShown()) setBusy('');
    if (!isWanted()) return {ok: false, error: 'Another photo was opened.'};
    if (reply.ok) store.set({photo: {...forgotten, token: reply.token, decoder: reply.decoder}, encodeCost: encodeCost(reply)});
    return reply;
  }

  return {
    open, end,
    /** Takes back what was clicked in the photo. */
    unclick: incoming.unclick,
    hold: held.hold,
    /** Has an act, which is the first one, wait for the photo in which an object was clicked. @param {() => void} act */
    afterClick(act) { if (incoming.isClicked) held.wait(act); },
    reopen() {
      reopening ??= sendAgain().finally(() => { reopening = null; });
      return reopening;
    },
  };
}
