// The masks of a photo's objects at its own size, as data sets need them.
import {createAsk} from './server.js';

const NAME = 'object';          // any: only the masks are wanted

/** @typedef {{rles: Rle[], predicted_ious: (number | null)[]}} ExactMasks */

/** The masks of objects that are nothing else than masks of that size; null if others are among them.
 * @type {(objects: ExportedObject[], size: [height: number, width: number]) => ExactMasks | null} */
function sentMasks(objects, [height, width]) {
  const rles = objects.map(({interactions}) => {
    const [only] = interactions;
    return interactions.length === 1 && only.type === 'mask' && only.rle.size[0] === height && only.rle.size[1] === width ? only.rle : null;
  });
  const known = rles.filter((rle) => rle !== null);
  return known.length < rles.length ? null : {rles: known, predicted_ious: objects.map(({predicted_iou}) => predicted_iou)};
}

/** Asks for masks only where they are not known yet.
 * @param {{call: Call, loader: PhotoLoader, workStore: {
 *   masks: (key: string) => Promise<(ExactMasks & {signature: string}) | null>,
 *   saveMasks: (key: string, masks: ExactMasks & {signature: string}) => Promise<void>}}} options */
export function createExactMasks({call, loader, workStore}) {
  /** Asks about one photo, whichever is open on the page. @type {(open: () => Promise<ServerReply>, query: object) => Promise<ServerReply>} */
  async function askAbout(open, query) {
    let opened = await open();
    const ask = createAsk(call, () => (opened.ok ? opened.token : ''), async () => (opened = await open()));
    return opened.ok ? ask('masks', query) : opened;
  }

  /** Throws an error with a sentence if there are none.
   * @param {{key: string, file: File | null, size: [height: number, width: number]}} photo
   * @param {ExportedObject[]} objects @param {Exclusive} exclusive
   * @param {(text: string) => void} onProgress @param {() => boolean} isWanted
   * @returns {Promise<ExactMasks>} */
  return async ({key, file, size}, objects, exclusive, onProgress, isWanted) => {
    const sent = exclusive ? null : sentMasks(objects, size);
    if (sent) return sent;
    const signature = JSON.stringify([objects.map(({interactions, clean, predicted_iou}) => [interactions, clean, predicted_iou]), exclusive]);
    const kept = await workStore.masks(key);
    if (kept?.signature === signature) return kept;
    if (!file) throw new Error('the browser does not have it any more');
    const query = {objects: objects.map((object) => ({...object, name: NAME})), exclusive};
    const reply = await askAbout(() => loader.open(file, onProgress, isWanted), query);
    if (!reply.ok) throw new Error(reply.error);
    const {rles, predicted_ious} = reply;
    await workStore.saveMasks(key, {rles, predicted_ious, signature});
    return {rles, predicted_ious};
  };
}
/** @typedef {ReturnType<typeof createExactMasks>} GetExactMasks */
