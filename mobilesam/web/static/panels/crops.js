// The crop that the first click on an object is answered from. It is encoded ahead, when the view rests.
/** @import {Page} from './page.js' */
import {cropFor} from '../core/crops.js';

const REST_MS = 400;

/** `visible` returns what shows of the photo; `encode` asks the server to encode a crop.
 * @param {Page['store']} store
 * @param {{visible: () => Box, encode: (crop: Box) => Promise<ServerReply>}} options */
export function createCrops(store, {visible, encode}) {
  let timer = 0;
  let photo = /** @type {Photo | null} */ (null);
  let latest = /** @type {Box | null} */ (null);
  // Whether the server has refused to encode a crop of the photo, by its coordinates.
  let refusals = /** @type {Map<string, boolean>} */ (new Map());

  function find() {
    const {photo: opened, zoom} = store.get();
    if (opened !== photo) {
      photo = opened;
      latest = null;
      refusals = new Map();
    }
    latest = photo && cropFor(visible(), zoom, photo, latest);
    return latest;
  }

  async function encodeAhead() {
    const crop = find(), known = refusals, key = String(crop);
    if (!crop || known.get(key) === false) return;
    known.set(key, false);
    const reply = await encode(crop);
    known.set(key, !reply.ok);
  }

  return {
    /** The crop for the view; null: the whole photo. */
    get current() {
      const crop = find();
      return refusals.get(String(crop)) ? null : crop;
    },
    /** Encodes the crop for the view as soon as that has not changed for a while. */
    encodeAtRest() {
      clearTimeout(timer);
      timer = setTimeout(encodeAhead, REST_MS);
    },
  };
}
