import {contextOf, createCanvas} from './canvas2d.js';

const HEIGHT = 96;              // twice that of the strip, for sharp screens

/** A small picture of a photo; null if the browser cannot show it. @param {Blob} file @returns {Promise<Blob | null>} */
export async function thumbnail(file) {
  const picture = await createImageBitmap(file, {resizeHeight: HEIGHT, resizeQuality: 'medium'}).catch(() => null);
  if (!picture) return null;
  const canvas = createCanvas(Math.min(picture.width, 3 * HEIGHT), HEIGHT);     // a panorama shows its middle
  contextOf(canvas).drawImage(picture, (canvas.width - picture.width) / 2, 0);
  picture.close();
  return new Promise((resolve) => { canvas.toBlob(resolve, 'image/jpeg', 0.85); });
}

/** The size of an upright photo; null if the browser cannot show it. The pixels are not decoded.
 * @param {Blob} file @returns {Promise<[height: number, width: number] | null>} */
export function sizeOf(file) {
  const picture = new Image(), url = URL.createObjectURL(file);
  return new Promise((resolve) => {
    picture.onload = () => resolve([picture.naturalHeight, picture.naturalWidth]);
    picture.onerror = () => resolve(null);
    picture.src = url;
  }).finally(() => URL.revokeObjectURL(url));
}
