// Brings photos to the server and to the page.
import {fileUrl, upload} from './server.js';

const MAX_UPLOADS = 3;          // of one photo: the server forgets it when it is restarted

function progressText(/** @type {ServerReply & {ok: true}} */ {state, position}) {
  if (state === 'loading_model') return 'Loading the model…';
  if (state === 'encoding' || !position) return 'Encoding the photo…';
  return position === 1 ? '1 photo is ahead of yours…' : position + ' photos are ahead of yours…';
}

/** @type {(call: Call) => PhotoLoader} */
export const createPhotoLoader = (call) => ({
  /** Uploads a photo and waits until it is encoded; returns the last reply of the server function `open`. The server
   * drops the photo soon after it is no longer wanted. */
  async open(file, onProgress, isWanted) {
    for (let uploads = 1; ; uploads++) {
      onProgress('Uploading the photo…');
      const uploaded = await upload(file);
      if (!uploaded.ok || !isWanted()) return uploaded;
      onProgress('Opening the photo…');
      let reply = await call('open', {path: uploaded.path, name: file.name});
      while (reply.ok && reply.state !== 'done' && isWanted()) {
        onProgress(progressText(reply));
        reply = await call('open', {token: reply.token});
      }
      if (reply.ok || !reply.expired || !isWanted() || uploads === MAX_UPLOADS) return reply;
    }
  },

  /** The photo as the server sees it, for files that the browser cannot show or shows differently. */
  async preview(token) {
    const reply = await call('preview', {token});
    if (!reply.ok) throw new Error(reply.error);
    return createImageBitmap(await (await fetch(reply.url)).blob());
  },
});

export async function fetchExample(/** @type {{path: string}} */ {path}) {
  const response = await fetch(fileUrl(path));
  if (!response.ok) throw new Error('HTTP ' + response.status);
  const blob = await response.blob();
  return new File([blob], path.split('/').pop() ?? '', {type: blob.type});
}
