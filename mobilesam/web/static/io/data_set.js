// Exports all photos of the set as one file, which the server writes photo by photo.
/** @import {GetExactMasks} from './exact_masks.js' */
import {upload} from './server.js';

const MAX_ATTEMPTS = 2;         // at a data set: the server forgets it when it is restarted

/** @param {{call: Call, getExactMasks: GetExactMasks}} options */
export function createDataSetExport({call, getExactMasks}) {
  /** @type {(photo: PhotoToExport, dataset: string, n: number, withPhotos: boolean, onProgress: (text: string) => void, isWanted: () => boolean) => Promise<ServerReply>} */
  async function send(photo, dataset, n, withPhotos, onProgress, isWanted) {
    const {name, file, size, objects, exclusive} = photo;
    const {rles, predicted_ious} = objects.length ? await getExactMasks(photo, objects, exclusive, onProgress, isWanted)
      : {rles: [], predicted_ious: []};
    const described = objects.map((object, index) => ({name: object.name, rle: rles[index], predicted_iou: predicted_ious[index]}));
    for (let tries = 0; ; tries++) {
      const uploaded = withPhotos && file ? await upload(file) : null;
      if (uploaded && !uploaded.ok) return uploaded;
      const reply = await call('dataset', {dataset, n, photo: {name, size, objects: described, path: uploaded?.path ?? null}});
      if (reply.ok || !reply.expired || !uploaded || tries > 0) return reply;
    }
  }

  /** Sends all photos once, or until the server has lost the data set or does not answer.
   * @type {ExportDataSet} */
  async function attempt({withPhotos, ...options}, photos, photoOf, onProgress, isWanted) {
    const failures = /** @type {{name: string, error: string}[]} */ ([]);
    const begun = await call('dataset', {...options, photos: photos.map(({key}) => key)});
    if (!begun.ok) return {reply: begun, failures};
    for (const [n, {key, name}] of photos.entries()) {
      if (!isWanted()) return null;
      onProgress(n, '');
      try {
        const reply = await send(await photoOf(key), begun.dataset, n, withPhotos, (text) => onProgress(n, text), isWanted);
        if (!reply.ok && (reply.expired || reply.isLost)) return {reply, failures};
        if (!reply.ok) failures.push({name, error: reply.error});
      } catch (error) {
        failures.push({name, error: /** @type {Error} */ (error).message});
      }
    }
    if (!isWanted()) return null;
    onProgress(photos.length, '');
    return {reply: await call('dataset', {dataset: begun.dataset, finish: true}), failures};
  }

  return /** @type {ExportDataSet} */ (async (...given) => {
    for (let attempts = 1; ; attempts++) {
      const result = await attempt(...given);
      if (!result || result.reply.ok || !result.reply.expired || attempts === MAX_ATTEMPTS) return result;
    }
  });
}
