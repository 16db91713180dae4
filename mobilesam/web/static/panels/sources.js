// Files that the user drops, pastes or chooses, examples, and photos from the camera: phones have an app for it,
// elsewhere a dialog shows its picture.
/** @import {Page} from './page.js' */
import {contextOf, createCanvas} from '../canvas/canvas2d.js';
import {createTimedNames} from '../core/names.js';
import {element} from './page.js';

const FIRST = {name: 'dog', click: {x: 0.39, y: 0.56}};       // what the picture of the empty page shows
const FIELD = 'input:not([type=range]), textarea, [contenteditable=true]';
const NAMELESS = /^image[.]\w+$/i;           // what browsers call a picture from the clipboard, and phones one from the camera
const NOT_LOADED = 'This page does not load pictures from web addresses. Save the picture, then open the file.';
const NO_PICTURE = {
  pasted: 'There is no picture in the clipboard. Copy one and paste again.',
  dropped: 'There is no picture in what you dropped. Drop a photo, or open a file.',
};

/** Something pasted or dropped that is no file. @typedef {{html: string, links: string, text: string}} Words */

/** The address of the picture in it, a data: URL if there is one; undefined if there is none.
 * @param {Words} words */
function addressIn({html, links, text}) {
  const pictures = Array.from(new DOMParser().parseFromString(html, 'text/html').images, ({src}) => src);
  const addresses = [...pictures, ...links.split(/\s+/), text.trim()];
  return addresses.find((one) => /^data:image\//i.test(one)) ?? addresses.find((one) => /^(https?|blob|file):\S+$/i.test(one));
}

/** @type {(transfer: DataTransfer) => Words} */
const wordsOf = (transfer) => (
  {html: transfer.getData('text/html'), links: transfer.getData('text/uri-list'), text: transfer.getData('text/plain')});

/** `onFiles` also receives where to click, as shares of the photo's width and height.
 * `droppedFiles` returns the files in what was dropped, and `usableFiles` those in a folder that the page can use.
 * @param {Page} page @param {(example: Example) => Promise<File>} fetchExample
 * @param {{droppedFiles: (transfer: DataTransfer) => Promise<File[]>, usableFiles: (files: Iterable<File>) => File[]}} folders
 * @param {(files: File[], click?: Point) => void} onFiles */
export function createSources({refs, limits, examples, fail}, fetchExample, {droppedFiles, usableFiles}, onFiles) {
  const {stage, file: chooser, folder, capture, camera, video} = refs;
  let stream = /** @type {MediaStream | null} */ (null);
  let dragDepth = 0, isOwnDrag = false;
  const timedName = createTimedNames();

  /** A blob as a file, under a name made of a word and the time. @type {(blob: Blob, word: string) => File} */
  const named = (blob, word) => new File([blob], timedName(word, blob.type), {type: blob.type});

  /** `word` is for files that have no name of their own. @type {(files: Iterable<File> | null | undefined, word?: string) => boolean} */
  function take(files, word = '') {
    const all = Array.from(files ?? []);
    if (all.length) onFiles(all.map((file) => (word && NAMELESS.test(file.name) ? named(file, word) : file)));
    return all.length > 0;
  }

  /** Opens the picture in something that is no file, or says what to do instead.
   * @type {(words: Words, word: 'pasted' | 'dropped') => Promise<unknown>} */
  async function takeWords(words, word) {
    const address = addressIn(words);
    if (!address) return fail(NO_PICTURE[word]);
    if (!/^data:/i.test(address)) return fail(NOT_LOADED);
    const picture = await fetch(address).then((response) => response.blob()).catch(() => null);
    return picture ? onFiles([named(picture, word)]) : fail('This picture cannot be read. Save it, then open the file.');
  }

  async function paste() {
    try {
      const items = await navigator.clipboard.read();
      const textOf = async (/** @type {string} */ type) => {
        const item = items.find(({types}) => types.includes(type));
        return item ? (await item.getType(type)).text() : '';
      };
      for (const item of items) {
        const type = item.types.find((name) => name.startsWith('image/'));
        if (type) return onFiles([named(await item.getType(type), 'pasted')]);
      }
      await takeWords({html: await textOf('text/html'), links: '', text: await textOf('text/plain')}, 'pasted');
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
    canvas.toBlob((blob) => blob && onFiles([named(blob, 'camera')]), 'image/jpeg', 0.95);
  }

  refs.limits.textContent = `JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF, up to ${limits.max_mb} MB and ${limits.max_megapixels} megapixels`;
  refs.first.src = new URL('../first.webp', import.meta.url).href;
  /** @type {(example: Example, click?: Point) => Promise<void>} */
  const openExample = (example, click) => fetchExample(example).then((file) => onFiles([file], click),
    () => { fail('The example could not be loaded. Check the connection and try again.'); });
  refs.examples.append(...examples.map((example) => {
    const picture = element('img', {src: example.thumbnail, alt: 'Example photo: ' + example.name, draggable: false});
    const onclick = () => openExample(example);
    return element('button', {type: 'button', className: 'sam-example', title: example.name, onclick}, picture);
  }));
  for (const [input, word] of /** @type {[HTMLInputElement, string][]} */ ([[chooser, ''], [capture, 'camera']])) {
    input.addEventListener('change', () => { take(input.files, word); input.value = ''; });
  }
  folder.addEventListener('change', () => {
    if (!take(usableFiles(folder.files ?? []))) fail('This folder contains no photo.');
    folder.value = '';
  });
  camera.addEventListener('close', closeCamera);
  const isInField = (/** @type {Event} */ {target}) => target instanceof Element && target.closest(FIELD) !== null;
  // On Linux the middle button, which moves the photo, would paste the selected text: Chromium does so after
  // pointerup, Firefox after auxclick.
  for (const type of /** @type {const} */ (['pointerup', 'auxclick'])) {
    document.addEventListener(type, (event) => {
      const isLink = event.target instanceof Element && event.target.closest('a');
      if (event.button === 1 && !isInField(event) && !isLink) event.preventDefault();
    });
  }
  document.addEventListener('paste', (event) => {
    const {clipboardData} = event;
    if (!clipboardData?.types.length || (!clipboardData.files.length && isInField(event))) return;
    event.preventDefault();
    if (!take(clipboardData.files, 'pasted')) takeWords(wordsOf(clipboardData), 'pasted');
  });

  // The whole page accepts a drop: the browser would open a photo dropped beside the stage instead of the page.
  const accepts = (/** @type {DragEvent} */ event) => {
    const types = event.dataTransfer?.types ?? [];
    return types.includes('Files') || (types.length > 0 && !isOwnDrag && !isInField(event));
  };
  function setDragDepth(/** @type {number} */ depth) {
    dragDepth = Math.max(0, depth);
    stage.dataset.dropping = dragDepth ? 'yes' : 'no';
  }
  document.addEventListener('dragstart', () => { isOwnDrag = true; });
  document.addEventListener('dragend', () => { isOwnDrag = false; });
  document.addEventListener('dragenter', (event) => { if (accepts(event)) setDragDepth(dragDepth + 1); });
  document.addEventListener('dragleave', () => setDragDepth(dragDepth - 1));
  document.addEventListener('dragover', (event) => { if (accepts(event)) event.preventDefault(); });
  document.addEventListener('drop', (event) => {
    setDragDepth(0);
    if (!accepts(event) || !event.dataTransfer) return;
    event.preventDefault();
    const {dataTransfer} = event, words = wordsOf(dataTransfer);       // which is empty after the event
    droppedFiles(dataTransfer).then((files) => {
      if (!take(files, 'dropped')) takeWords(words, 'dropped');
    }, () => fail('The folder could not be read. Open its photos instead.'));
  });

  return {commands: {
    'first': () => openExample(/** @type {Example} */ (examples.find(({name}) => name === FIRST.name)), FIRST.click),
    'browse': () => chooser.click(), 'browse-folder': () => folder.click(), paste, 'camera': openCamera, 'camera-close': closeCamera, 'shoot': takePhoto,
  }};
}
