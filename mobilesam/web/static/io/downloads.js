// Masks and objects exported at the photo's own size, and mask files loaded again.
import {fileUrl} from './server.js';

const MAX_MASK_FILE_BYTES = 20e6;

/** Whether a file contains masks rather than a photo. @param {File} file */
export const isMaskFile = ({name, type}) => type === 'application/json' || /\.json$/i.test(name);

/** Lets the browser save what is at an address. @type {(url: string, name: string) => void} */
export function saveAs(url, name) {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}

/** @param {{ask: Call, setBusy: (text: string) => void, fail: (text: string) => null}} options */
export function createDownloads({ask, setBusy, fail}) {
  let isBusy = false;

  /** Asks for what takes a while, one at a time; null if it failed. @type {(text: string, name: string, query: object) => Promise<any>} */
  async function askBusy(text, name, query) {
    if (isBusy) return null;
    isBusy = true;
    setBusy(text);
    const reply = await ask(name, query);
    setBusy('');
    isBusy = false;
    return reply.ok ? reply : fail(reply.error);
  }

  return {
    /** Saves what the server function `export` replies to a query; whether that worked. @param {object} query */
    async save(query) {
      const reply = await askBusy('Preparing the file…', 'export', query);
      if (reply) saveAs(fileUrl(reply.path), reply.name);
      return reply !== null;
    },
    /** The mask of a query at the photo's own size, as a black and white picture. @param {object} query */
    async maskPicture(query) {
      const reply = await ask('export', {kind: 'mask', ...query});
      if (!reply.ok) throw new Error(reply.error);
      const response = await fetch(fileUrl(reply.path)).catch(() => null);
      if (!response?.ok) throw new Error('The mask could not be downloaded. Check the connection and try again.');
      return createImageBitmap(await response.blob());
    },
    /** The masks in a COCO or labelme file, for `objects.add`; null if it cannot be loaded. @param {File} file */
    async loadMasks(file) {
      if (file.size > MAX_MASK_FILE_BYTES) return fail('The mask file is larger than 20 MB. Split it by photo.');
      const text = await file.text().catch(() => null);
      if (text === null) return fail('The file could not be read. Choose it again.');
      const reply = await askBusy('Reading the masks…', 'load_masks', {text});
      return reply && reply.objects;
    },
  };
}
