// Brings photos to the server and to the page.
import {LOST_EACH_TIME, fileUrl, upload} from './server.js';

const MAX_UPLOADS = 3;          // of one photo: the server forgets it when it is restarted
const MAX_HELD = 4;             // photos

function progressText(/** @type {ServerReply & {ok: true}} */ {state, position}) {
  if (state === 'loading_model') return 'Loading the model…';
  if (state === 'encoding' || !position) return 'Encoding the photo…';
  return position === 1 ? '1 photo is ahead of yours…' : position + ' photos are ahead of yours…';
}

/** Opens photos on the server, which holds a few at a time: the open one, the next one, and those that were open last.
 * @type {(call: Call) => PhotoLoader} */
export function createPhotoLoader(call) {
  const held = /** @type {Map<File, string>} */ (new Map());    // the tokens of the server's photos, last used last
  let preparing = /** @type {{file: File, begun: Promise<ServerReply>} | null} */ (null);

  async function beginAhead(/** @type {File} */ file) {
    const uploaded = await upload(file);
    return uploaded.ok ? call('open', {path: uploaded.path, name: file.name, ahead: true}) : uploaded;
  }

  function hold(/** @type {File} */ file, /** @type {string} */ token) {
    held.delete(file);
    held.set(file, token);
    const excess = Array.from(held).slice(0, -MAX_HELD);
    for (const [old] of excess) held.delete(old);
    if (excess.length) call('close', {tokens: excess.map(([, old]) => old)});
  }

  /** The first reply for a photo that the server has, or is getting; null if it must be uploaded. @param {File} file */
  async function firstOfHeld(file) {
    const token = held.get(file), prepared = preparing?.file === file ? preparing.begun : null;
    preparing = null;
    const reply = prepared ? await prepared : token ? await call('open', {token}) : null;
    return reply?.ok ? reply : null;
  }

  return {
    /** Uploads a photo and waits until it is encoded; returns the last reply of the server function `open`. The server
     * drops the photo soon after it is no longer wanted. */
    async open(file, onProgress, isWanted) {
      let reply = /** @type {ServerReply | null} */ (await firstOfHeld(file));
      for (let uploads = 1; ; uploads++) {
        if (!reply) {
          onProgress('Uploading the photo…');
          const uploaded = await upload(file);
          if (!uploaded.ok || !isWanted()) return uploaded;
          onProgress('Opening the photo…');
          reply = await call('open', {path: uploaded.path, name: file.name});
        }
        while (reply.ok && reply.state !== 'done' && isWanted()) {
          onProgress(progressText(reply));
          reply = await call('open', {token: reply.token});
        }
        if (reply.ok && reply.state === 'done') hold(file, reply.token);
        else held.delete(file);
        if (reply.ok || !reply.expired || !isWanted()) return reply;
        if (uploads === MAX_UPLOADS) return {...reply, error: LOST_EACH_TIME};
        reply = null;
      }
    },

    /** Has the server encode a photo while it has nothing else to do. It gives up silently: the photo is opened later. */
    async prepare(file) {
      if (held.has(file) || preparing?.file === file) return;
      const mine = preparing = {file, begun: beginAhead(file)};
      let reply = await mine.begun;
      while (preparing === mine && reply.ok && reply.state !== 'done') reply = await call('open', {token: reply.token, ahead: true});
      if (preparing !== mine) return;
      preparing = null;
      if (reply.ok) hold(file, reply.token);
    },

    /** The server does not know the photo any more. */
    forget(file) { held.delete(file); },

    /** The photo as the server sees it, for files that the browser cannot show or shows differently. */
    async preview(token) {
      const reply = await call('preview', {token});
      if (!reply.ok) throw new Error(reply.error);
      return createImageBitmap(await (await fetch(reply.url)).blob());
    },
  };
}

export async function fetchExample(/** @type {{path: string}} */ {path}) {
  const response = await fetch(fileUrl(path));
  if (!response.ok) throw new Error('HTTP ' + response.status);
  const blob = await response.blob();
  return new File([blob], path.split('/').pop() ?? '', {type: blob.type});
}
