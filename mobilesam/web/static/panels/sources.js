// Files that the user drops, pastes or chooses, examples, and photos from the camera: phones have an app for it,
// elsewhere a dialog shows its picture.
/** @import {Page} from './page.js' */
import {contextOf, createCanvas} from '../canvas/canvas2d.js';
import {element} from './page.js';

const FIRST = {name: 'dog', click: {x: 0.39, y: 0.56}};       // what the picture of the empty page shows

/** `onFiles` also receives where to click, as shares of the photo's width and height.
 * @param {Page} page @param {(example: Example) => Promise<File>} fetchExample
 * @param {(files: File[], click?: Point) => void} onFiles */
export function createSources({refs, limits, examples, fail}, fetchExample, onFiles) {
  const {stage, file: chooser, capture, camera, video} = refs;
  let stream = /** @type {MediaStream | null} */ (null);
  let dragDepth = 0;

  function take(/** @type {FileList | null | undefined} */ files) {
    const all = Array.from(files ?? []);
    if (all.length) onFiles(all);
    return all.length > 0;
  }

  async function paste() {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((name) => name.startsWith('image/'));
        if (type) return onFiles([new File([await item.getType(type)], 'pasted.' + type.split('/')[1], {type})]);
      }
      fail('There is no picture in the clipboard. Copy one and paste again.');
    } catch {
      fail('The browser does not let this page read the clipboard. Press Ctrl+V (Cmd+V on a Mac), or open a file.');
    }
  }

  async function openCamera() {
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

  function closeCamera() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = video.srcObject = null;
    camera.close();
  }

  function takePhoto() {
    if (!video.videoWidth) return;
    const canvas = createCanvas(video.videoWidth, video.videoHeight);
    contextOf(canvas).drawImage(video, 0, 0);
    closeCamera();
    canvas.toBlob((blob) => blob && onFiles([new File([blob], 'camera.jpg', {type: 'image/jpeg'})]), 'image/jpeg', 0.95);
  }

  refs.limits.textContent = `JPEG, PNG, WebP, GIF, BMP or TIFF, up to ${limits.max_mb} MB and ${limits.max_megapixels} megapixels`;
  refs.first.src = new URL('../first.webp', import.meta.url).href;
  /** @type {(example: Example, click?: Point) => Promise<void>} */
  const openExample = (example, click) => fetchExample(example).then((file) => onFiles([file], click),
    () => { fail('The example could not be loaded. Check the connection and try again.'); });
  refs.examples.append(...examples.map((example) => {
    const picture = element('img', {src: example.thumbnail, alt: 'Example photo: ' + example.name, draggable: false});
    const onclick = () => openExample(example);
    return element('button', {type: 'button', className: 'sam-example', title: example.name, onclick}, picture);
  }));
  for (const input of [chooser, capture]) {
    input.addEventListener('change', () => { take(input.files); input.value = ''; });
  }
  camera.addEventListener('close', closeCamera);
  document.addEventListener('paste', (event) => { if (take(event.clipboardData?.files)) event.preventDefault(); });

  // The whole page accepts a drop: the browser would open a photo dropped beside the stage instead of the page.
  const hasFiles = (/** @type {DragEvent} */ {dataTransfer}) => Boolean(dataTransfer?.types.includes('Files'));
  function setDragDepth(/** @type {number} */ depth) {
    dragDepth = Math.max(0, depth);
    stage.dataset.dropping = dragDepth ? 'yes' : 'no';
  }
  document.addEventListener('dragenter', (event) => { if (hasFiles(event)) setDragDepth(dragDepth + 1); });
  document.addEventListener('dragleave', () => setDragDepth(dragDepth - 1));
  document.addEventListener('dragover', (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener('drop', (event) => {
    setDragDepth(0);
    if (!hasFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer?.files);
  });

  return {commands: {
    'first': () => openExample(/** @type {Example} */ (examples.find(({name}) => name === FIRST.name)), FIRST.click),
    'browse': () => chooser.click(), paste, 'camera': openCamera, 'camera-close': closeCamera, 'shoot': takePhoto,
  }};
}
