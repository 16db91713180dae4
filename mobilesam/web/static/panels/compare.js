// The dialog that compares the photo with the result, and changes the background.
/** @import {Page} from './page.js' */
/** @import {Background} from './compositing.js' */
import {screenPointOf} from '../canvas/gestures.js';
import {fitted} from '../core/geometry.js';
import {composed, maskStencil, onWhite, pictureStencil} from './compositing.js';

const DISPLAY_SIDE = 1600;      // of the comparison; the file has the photo's own size

/** @param {Photo} photo */
const hasOwnSize = ({picture, width, height}) => picture.width === width && picture.height === height;

/** @param {Page} page
 * @param {() => Promise<ImageBitmap>} maskPicture the mask at the photo's own size
 * @param {(url: string, name: string) => void} saveAs */
export function createCompare({refs, store, buttons}, maskPicture, saveAs) {
  const {compare: dialog, compareView: view, compareAt: slider, compareFile: file, compareNote: note} = refs;
  const [saveButton] = buttons('compare-save');
  const backgroundButtons = /** @type {NodeListOf<HTMLButtonElement>} */ (dialog.querySelectorAll('[data-background]'));
  let background = 'none';
  let chosen = /** @type {ImageBitmap | null} */ (null);

  const say = (/** @type {string} */ text) => { note.textContent = text; };
  const behind = () => /** @type {Background} */ (background === 'picture' ? chosen : background);

  function slide() {
    view.style.setProperty('--at', slider.value + '%');
    slider.setAttribute('aria-valuetext', Math.round(Number(slider.value)) + '% of the photo, from the left');
  }

  function draw() {
    const {photo, reply} = store.get();
    if (!photo || !reply) return;
    const [width, height] = fitted(photo.width, photo.height, DISPLAY_SIDE);
    view.style.setProperty('--ratio', String(photo.width / photo.height));
    const before = onWhite(photo.picture, width, height);
    const after = composed(before, maskStencil(reply.rle, DISPLAY_SIDE), behind(), width, height);
    for (const [canvas, picture] of [[refs.compareBefore, before], [refs.compareAfter, after]]) {
      Object.assign(canvas, {width, height});
      canvas.getContext('2d')?.drawImage(picture, 0, 0);
    }
    say(hasOwnSize(photo) ? `${photo.width} × ${photo.height} pixels, the photo's own size`
      : 'The browser has only a smaller copy of this photo. Download the cut-out PNG for its full size.');
  }

  function setBackground(/** @type {string} */ next) {
    background = next;
    backgroundButtons.forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.background === next)));
    draw();
  }

  async function choosePicture(/** @type {File} */ picked) {
    const picture = await createImageBitmap(picked).catch(() => null);
    if (!picture) return say('The browser cannot show this file as a picture. Choose a JPEG, PNG or WebP.');
    chosen?.close();
    chosen = picture;
    if (dialog.open) setBackground('picture');
  }

  async function download() {
    const {photo, interactions} = store.get(), on = behind();
    if (!photo) return;
    saveButton.disabled = true;
    say('Preparing the picture…');
    try {
      const mask = await maskPicture();
      if (store.get().interactions !== interactions) throw new Error('The mask has changed. Download it again.');
      const canvas = composed(photo.picture, pictureStencil(mask), on, photo.width, photo.height);
      const blob = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/png'); });
      if (!blob) throw new Error('This browser cannot make a picture of that size. Download the cut-out PNG instead.');
      const url = URL.createObjectURL(blob);
      saveAs(url, photo.file.name.replace(/[.][^.]*$/, '') + '-picture.png');
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      say(`Saved at ${photo.width} × ${photo.height} pixels.`);
    } catch (error) {
      say(/** @type {Error} */ (error).message);
    } finally {
      saveButton.disabled = false;
    }
  }

  function follow(/** @type {PointerEvent} */ event) {
    slider.value = String(100 * screenPointOf(event, view).x / view.clientWidth);
    slide();
  }

  function open() {
    const {photo} = store.get();
    saveButton.disabled = !photo || !hasOwnSize(photo);
    slider.value = '50';
    slide();
    setBackground(background);
    dialog.showModal();
  }

  slider.addEventListener('input', slide);
  view.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    view.setPointerCapture(event.pointerId);
    slider.focus({preventScroll: true});
    follow(event);
  });
  view.addEventListener('pointermove', (event) => { if (view.hasPointerCapture(event.pointerId)) follow(event); });
  backgroundButtons.forEach((button) => button.addEventListener('click', () => {
    if (button.dataset.background === 'picture') file.click();
    else setBackground(button.dataset.background ?? 'none');
  }));
  file.addEventListener('change', () => {
    if (file.files?.[0]) choosePicture(file.files[0]);
    file.value = '';
  });
  store.subscribe(({reply}, previous) => {      // a reply may come while the dialog is open
    if (reply === previous.reply || !dialog.open) return;
    if (reply) draw();
    else dialog.close();
  });
  return {commands: {'compare': open, 'compare-close': () => dialog.close(), 'compare-save': download}};
}
