// Copies and shares pictures, and lets users drag the cut-out out of the page.
/** @import {Page} from './page.js' */

const INSECURE = 'The browser copies pictures only on pages with https. Download the picture instead.';
const REFUSED = 'The browser did not let this page copy the picture. Try again, or download it.';
const canShare = Boolean(navigator.canShare?.({files: [new File([''], 'a.png', {type: 'image/png'})]}));

/** `makePicture` makes what is shown: the result, or the cut-out of the mask; null where there is none.
 * @param {Page} page @param {() => Promise<NamedBlob> | null} makePicture
 * @param {(blob: Blob, name: string) => void} saveBlob */
export function createSharing({store, buttons, fail, setBusy}, makePicture, saveBlob) {
  let isBusy = false;

  /** Makes the picture and hands it over at once: browsers allow copying only during the click.
   * @type {(text: string, act: (picture: Promise<NamedBlob>) => Promise<unknown>, refused?: (error: Error) => string | null) => Promise<void>} */
  async function withPicture(text, act, refused = () => null) {
    const picture = isBusy ? null : makePicture();
    if (!picture) return;
    isBusy = true;
    setBusy(text);
    try {
      await act(picture);
    } catch (error) {
      // What failed is either making the picture, with a sentence, or the browser's part.
      const sentence = await picture.then(() => refused(/** @type {Error} */ (error)), ({message}) => message);
      if (sentence) fail(sentence);
    }
    isBusy = false;
    setBusy('');
  }

  const copy = () => withPicture('Copying…', async (picture) => {
    if (!navigator.clipboard?.write) {
      await picture;
      throw new Error(INSECURE);
    }
    await navigator.clipboard.write([new ClipboardItem({'image/png': picture.then(({blob}) => blob)})]);
    const {name} = await picture;
    store.set({alert: {text: name.endsWith('-cutout.png') ? 'Cut-out copied.' : 'Picture copied.', kind: 'note'}});
  }, ({message}) => (message === INSECURE ? INSECURE : REFUSED));

  const share = () => withPicture('Preparing the picture…', async (picture) => {
    const {blob, name} = await picture;
    await navigator.share({files: [new File([blob], name, {type: 'image/png'})]});
  }, ({name}) => (name === 'AbortError' ? null : 'The browser could not share the picture. Download it instead.'));

  const save = () => withPicture('Preparing the picture…', async (picture) => {
    const {blob, name} = await picture;
    saveBlob(blob, name);
  });

  buttons('share').forEach((button) => { button.hidden = !canShare; });
  return {commands: {copy, share, 'result-save': save}};
}

/** Makes an element that can be dragged to other programs as a file. @param {HTMLElement} element
 * @param {() => CutoutFile | null} fileOf null: nothing can be dragged */
export function makeDraggable(element, fileOf) {
  element.addEventListener('dragstart', (event) => {
    const file = fileOf();
    if (!file || !event.dataTransfer) return event.preventDefault();
    event.dataTransfer.effectAllowed = 'copy';
    event.dataTransfer.setData('DownloadURL', `image/png:${file.name}:${file.url}`);
    event.dataTransfer.setData('text/uri-list', file.url);
  });
}
