// @ts-check
// Photos from the camera: phones have an app for it, elsewhere a dialog shows the picture.
/** @import {Page} from './page.js' */

/** @param {Page} page @param {(file: File) => void} onFile */
export function createCamera({refs: {camera, capture, video}, fail}, onFile) {
  /** @type {MediaStream | null} */
  let stream = null;

  function close() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    if (camera.open) camera.close();
  }

  async function open() {
    const isPhone = window.matchMedia('(pointer: coarse)').matches;
    if (isPhone || !navigator.mediaDevices) return capture.click();
    try {
      stream = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 1920}, facingMode: 'environment'}});
      video.srcObject = stream;
      camera.showModal();
    } catch (error) {
      fail(/** @type {Error} */ (error).name === 'NotAllowedError'
        ? 'The camera is blocked. Allow it for this page in the browser, then try again.'
        : 'No camera was found. Open a photo from a file instead.');
    }
  }

  function takePhoto() {
    if (!video.videoWidth) return;
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext('2d')?.drawImage(video, 0, 0);
    close();
    canvas.toBlob((blob) => blob && onFile(new File([blob], 'camera.jpg', {type: 'image/jpeg'})), 'image/jpeg', 0.95);
  }

  camera.addEventListener('close', close);
  return {commands: {'camera': open, 'camera-close': close, 'shoot': takePhoto}};
}
