// @ts-check
// Brings photos to the server and to the page.
/** @import {Limits} from '../core/types.js' */
/** @import {Call, Reply} from './server.js' */
import {fileUrl, upload} from './server.js';

const MAX_UPLOADS = 3;          // of one photo: the server forgets it when it is restarted

/** @param {Reply & {ok: true}} reply */
function progressText({state, position}) {
  if (state === 'loading_model') return 'Loading the model…';
  if (state === 'encoding' || !position) return 'Encoding the photo…';
  return position === 1 ? '1 photo is ahead of yours…' : position + ' photos are ahead of yours…';
}

/** @param {Call} call @param {Limits} limits */
export function createPhotoLoader(call, limits) {
  /**
   * Asks for a photo until it is encoded; gives up where nothing changes for too long.
   * @param {string} path
   * @param {string} name
   * @param {(text: string) => void} onProgress
   * @param {() => boolean} isWanted
   */
  async function poll(path, name, onProgress, isWanted) {
    let state = '', changedAt = performance.now(), wasInterrupted = false;
    let reply = await call('open', {path, name}, () => { wasInterrupted = true; });
    // A server that was restarted meanwhile no longer has the upload.
    if (!reply.ok && wasInterrupted && !reply.isLost) return {...reply, expired: true};
    while (reply.ok && reply.state !== 'done' && isWanted()) {
      const next = reply.state + reply.position;
      if (next !== state) changedAt = performance.now();
      else if (performance.now() - changedAt > 1000 * limits.open_timeout_s) return tookTooLong;
      state = next;
      onProgress(progressText(reply));
      reply = await call('open', {token: reply.token});
    }
    return reply;
  }

  return {
    /**
     * Uploads a photo and has it encoded; the server drops it soon where it is no longer wanted.
     * @param {File} file
     * @param {(text: string) => void} onProgress
     * @param {() => boolean} isWanted
     * @returns {Promise<Reply>} as the server function `open` replies when it is done
     */
    async open(file, onProgress, isWanted) {
      for (let uploads = 1; ; uploads++) {
        onProgress('Uploading the photo…');
        const uploaded = await upload(file);
        if (!uploaded.ok || !isWanted()) return uploaded;
        onProgress('Opening the photo…');
        const reply = await poll(uploaded.path, file.name, onProgress, isWanted);
        if (reply.ok || !reply.expired || !isWanted() || uploads === MAX_UPLOADS) return reply;
      }
    },

    /**
     * The photo as the server sees it, for files that the browser cannot show or shows differently.
     * @param {string} token
     */
    async preview(token) {
      const reply = await call('preview', {token});
      if (!reply.ok) throw new Error(reply.error);
      return createImageBitmap(await (await fetch(reply.url)).blob());
    },

    /** @param {{path: string}} example */
    async fetchExample({path}) {
      const response = await fetch(fileUrl(path));
      if (!response.ok) throw new Error('HTTP ' + response.status);
      const blob = await response.blob();
      return new File([blob], path.split('/').pop() ?? '', {type: blob.type});
    },
  };
}

/** @type {Reply} */
const tookTooLong = {ok: false, error: 'Opening the photo took too long. Try again.'};
