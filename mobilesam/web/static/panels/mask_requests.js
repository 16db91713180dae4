// The newest mask of the object that is edited: asks the server and the browser's own decoder, also for previews.
/** @import {Page} from './page.js' */
import {coalesced} from '../core/coalesced.js';
import {createHeldActs} from '../core/held_acts.js';
import {cropIn, isAnswerable} from '../core/interactions.js';

const SLOW_MS = 400;            // users notice such a wait
const COARSE = 1.25;            // a mask shown this much enlarged is requested again

/** `ask` calls a server function; `isClean` says whether the mask is to be cleaned, and `maskSide` how large it shows, in
 * pixels of the screen. `onReply` gets what shows, `onLateReply` the server's answer to interactions that are edited no
 * longer, and `onCropFailed` is called if the first answer from a crop is an error.
 * @param {Page} page
 * @param {{ask: (name: string, query: object, onTrouble?: () => void) => Promise<any>, decoder: LocalDecoder,
 *   isClean: () => boolean, maskSide: () => number, onReply: (reply: Reply | null) => void,
 *   onLateReply: (answered: Interaction[], reply: Reply) => void, onCropFailed: () => void}} handlers */
export function createMaskRequests(page, {ask, decoder, isClean, maskSide, onReply, onLateReply, onCropFailed}) {
  const {store, limits, fail, clearAlert} = page;
  const held = createHeldActs(() => store.get().interactions);
  // The interactions whose newest mask the server has sent; a restored mask may be that of earlier ones.
  let confirmed = /** @type {Interaction[] | null} */ (null);
  let previewTimer = 0, previews = 0;   // a reply for an earlier preview is dropped

  /** Whether the newest mask is fine enough for the zoom. */
  function isFineEnough() {
    const {reply, photo} = store.get();
    if (!reply || !photo) return true;
    const side = Math.max(...reply.rle.size);
    return maskSide() <= COARSE * side || Math.max(photo.width, photo.height) <= side;
  }

  /** Whether an earlier reply came from the crop of the interactions, if they have one.
   * @param {Interaction[]} interactions */
  function isCropAnswered(interactions) {
    const crop = cropIn(interactions);
    return !crop || store.get().answered.includes(crop);
  }

  /** Whether the browser's own answer to these interactions shows. @param {Interaction[]} interactions */
  function isShown(interactions) {
    const {reply, answered} = store.get();
    return answered === interactions && reply?.isLocal === true;
  }

  const askServer = coalesced(async () => {
    const {photo, interactions, preview, askedSeq} = store.get(), wanted = preview?.interactions ?? interactions;
    if (!photo || !isAnswerable(wanted) || (wanted === confirmed && isFineEnough())) return;
    if (preview && decoder.canAnswer(photo, wanted)) return;
    const mine = previews, clean = isClean();
    const slowText = isCropAnswered(wanted) ? 'Finding the mask…' : 'Encoding the visible part…';
    const slow = setTimeout(() => { if (!isShown(wanted)) store.set({slowText}); }, SLOW_MS);
    store.set({askedSeq: askedSeq + 1});
    const reply = await ask('segment', {interactions: wanted, clean, side: maskSide()},
      () => store.set({slowText: 'No answer yet, trying again…'}));
    clearTimeout(slow);
    store.set({slowText: ''});
    if (isClean() !== clean) return;            // asked again
    if (store.get().interactions === wanted) receive(reply);
    else if (preview) receivePreview(reply, wanted, mine === previews);
    else if (reply.ok) onLateReply(wanted, reply);
  });

  /** Shows the browser's own answer where it can give one: to the interactions until the server's comes, to a preview
   * instead of the server's. */
  async function answerLocally() {
    const {photo, interactions, preview} = store.get(), wanted = preview?.interactions ?? interactions;
    if (wanted === confirmed || !isAnswerable(wanted) || !decoder.canAnswer(photo, wanted)) return;
    const mine = previews, clean = isClean();
    const reply = await decoder.reply({interactions: wanted, clean, side: maskSide(), thumbnailSide: limits.thumbnail_side});
    const now = store.get();
    if (!reply || isClean() !== clean) return;
    if (preview && now.preview && mine === previews) store.set({preview: {...now.preview, reply, answered: wanted}});
    else if (now.interactions === wanted && wanted !== confirmed) {
      showReply(reply);
      held.release();
    }
  }

  /** Answers the newest interactions, or the preview. */
  function answer() {
    answerLocally();
    askServer();
  }

  /** @param {Reply | null} reply to the newest interactions, or to earlier ones */
  function showReply(reply, answered = store.get().interactions, preview = store.get().preview) {
    confirmed = null;
    store.set({reply, answered: reply ? answered : [], preview});
    onReply(reply);
  }

  /** @param {any} reply to the newest interactions */
  function receive(reply) {
    if (!reply.ok) {
      if (!reply.isLost && !isCropAnswered(store.get().interactions)) onCropFailed();
      else fail(reply.error);
      return;
    }
    clearAlert();
    showReply(reply);
    confirmed = store.get().interactions;
    store.set({shownSeq: store.get().askedSeq});
    held.release();
  }

  /** @type {(reply: any, answered: Interaction[], isCurrent: boolean) => void} */
  function receivePreview(reply, answered, isCurrent) {
    const {preview, askedSeq} = store.get();
    if (preview && isCurrent && reply.ok) store.set({preview: {...preview, reply, answered}});
    store.set({shownSeq: askedSeq});
  }

  function stopPreview() {
    clearTimeout(previewTimer);
    previews++;
    store.set({preview: null});
  }

  /** Does something as soon as the server or the browser has answered the newest interactions, unless they change
   * before. @param {() => void} act */
  function whenAnswered(act) {
    const {interactions} = store.get();
    if (held.hold(() => whenAnswered(act))) return;
    if (confirmed === interactions || isShown(interactions) || !isAnswerable(interactions)) return act();
    held.wait(act);
    askServer();
  }

  return {
    answer, showReply, stopPreview, whenAnswered, hold: held.hold, inTurn: held.inTurn,
    /** Answers interactions that have changed. */
    update() {
      const {interactions} = store.get();
      if (!isAnswerable(interactions)) showReply(null);
      if (interactions === confirmed) clearAlert();       // of what was undone
      answer();
    },
    /** Asks for a mask that suits the zoom, if the newest one does not. */
    refine() { if (!isFineEnough()) askServer(); },
    /** Replaces the mask by one for the same interactions. */
    askAgain() {
      confirmed = null;
      answer();
    },
    /** Shows other interactions and their mask, until `endPreview` or until they are kept.
     * @param {Interaction[]} interactions */
    showPreview(interactions) {
      const {preview} = store.get();
      store.set({preview: {reply: null, answered: [], ...preview, interactions}});
      answer();
    },
    /** Does something after a delay, unless the preview ends before. @type {(act: () => void, delayMs: number) => void} */
    beforePreview(act, delayMs) { previewTimer = setTimeout(act, delayMs); },
    endPreview() {
      stopPreview();
      answer();                   // where the preview came before an answer
    },
    /** The mask of the preview becomes that of the object, until its interactions are answered themselves. */
    keepPreview() {
      const {preview} = store.get();
      if (!preview?.reply) return;
      showReply(preview.reply, preview.answered, null);
      confirmed = preview.reply.isLocal ? null : preview.answered;
    },
  };
}
