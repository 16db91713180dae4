// @ts-check
// Files: masks and objects exported at the photo's own size, and mask files loaded again.
/** @import {Call, Reply} from './server.js' */
import {fileUrl} from './server.js';

const MAX_MASK_FILE_BYTES = 20e6;

/** Whether a file that was dropped or chosen contains masks rather than a photo. @param {File} file */
export const isMaskFile = ({name, type}) => type === 'application/json' || /\.json$/i.test(name);

/** Lets the browser save what is at an address. @param {string} url @param {string} name */
export function saveAs(url, name) {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}

/** @param {{ask: Call, setBusy: (text: string) => void, fail: (text: string) => null}} options */
export function createDownloads({ask, setBusy, fail}) {
  /** The reply to what takes a while, or null where it failed. @param {string} text @param {() => Promise<Reply>} act */
  async function busyWith(text, act) {
    setBusy(text);
    const reply = await act();
    setBusy('');
    if (reply.ok) return reply;
    fail(reply.error);
    return null;
  }

  return {
    /** Has a file made and saves it; whether that worked. @param {object} query of the server function `export` */
    async save(query) {
      const reply = await busyWith('Preparing the file…', () => ask('export', query));
      if (reply) saveAs(fileUrl(reply.path), reply.name);
      return reply !== null;
    },
    /** The mask of interactions at the photo's own size, as a black and white picture. @param {object[]} interactions */
    async maskPicture(interactions) {
      const reply = await ask('export', {kind: 'mask', interactions});
      if (!reply.ok) throw new Error(reply.error);
      const response = await fetch(fileUrl(reply.path)).catch(() => null);
      if (!response?.ok) throw new Error('The mask could not be downloaded. Check the connection and try again.');
      return createImageBitmap(await response.blob());
    },
    /** The masks in a COCO or labelme file, for `objects.add`; null where there are none. @param {File} file */
    async loadMasks(file) {
      if (file.size > MAX_MASK_FILE_BYTES) return fail('The mask file is larger than 20 MB. Split it by photo.');
      const text = await file.text().catch(() => null);
      if (text === null) return fail('The file could not be read. Choose it again.');
      const reply = await busyWith('Reading the masks…', () => ask('load_masks', {text}));
      return reply && reply.objects;
    },
  };
}
