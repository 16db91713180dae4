// Masks and objects exported at the photo's own size.
import {fileUrl} from './server.js';

const DOUBLE_CLICK_MS = 500;
const SAVED_MS = 60000;         // after which the browser has certainly read what it saves

/** Lets the browser save what is at an address. @type {(url: string, name: string) => void} */
function saveAs(url, name) {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}

export function saveBlob(/** @type {Blob} */ blob, /** @type {string} */ name) {
  const url = URL.createObjectURL(blob);
  saveAs(url, name);
  setTimeout(() => URL.revokeObjectURL(url), SAVED_MS);
}

/** Saves a file of the server. @param {{path: string, name: string}} reply */
export const saveFile = ({path, name}) => saveAs(fileUrl(path), name);

/** @param {{ask: Call, setBusy: (text: string) => void, fail: (text: string) => null}} options */
export function createDownloads({ask, setBusy, fail}) {
  let isBusy = false;
  let last = {query: '', time: -Infinity};

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

  /** Whether this is the second click of a double click. */
  function isRepeated(/** @type {object} */ query) {
    const previous = last;
    last = {query: JSON.stringify(query), time: performance.now()};
    return last.query === previous.query && last.time - previous.time < DOUBLE_CLICK_MS;
  }

  return {
    /** Saves what the server function `export` replies to a query; whether that worked. @param {object} query */
    async save(query) {
      if (isRepeated(query)) return false;
      const reply = await askBusy('Preparing the file…', 'export', query);
      if (reply) saveFile(reply);
      return reply !== null;
    },
    /** The cut-out of interactions or objects at the photo's own size. @type {(query: object) => Promise<CutoutFile>} */
    async cutout(query) {
      const reply = await ask('export', {kind: 'cutout', ...query});
      if (!reply.ok) throw new Error(reply.error);
      const url = fileUrl(reply.path), response = await fetch(url).catch(() => null);
      if (!response?.ok) throw new Error('The cut-out could not be downloaded. Check the connection and try again.');
      return {url, name: reply.name, corner: reply.corner, blob: await response.blob()};
    },
  };
}
