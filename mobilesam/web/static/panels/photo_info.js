// @ts-check
// What there is to know before the first click: accepted files, examples, the model, the time it took.
/** @import {Page, PageState} from './page.js' */
import {element} from './page.js';

/** @typedef {{name: string, path: string, thumbnail: string}} Example */

const WEIGHTS = /** @type {Record<string, string>} */ ({official: 'official MobileSAM', bundled: 'bundled', custom: 'your own file'});
const BUNDLED_NOTE = 'The bundled weights work without a network. The official weights give better masks.';

/** @param {Page} page @param {Example[]} examples @param {(example: Example) => void} onExample */
export function createPhotoInfo({refs, store, limits}, examples, onExample) {
  refs.limits.textContent = `JPEG, PNG, WebP, GIF, BMP or TIFF, up to ${limits.max_mb} MB and ${limits.max_megapixels} megapixels`;

  for (const example of examples) {
    const picture = element('img', {src: example.thumbnail, alt: 'Example photo: ' + example.name, draggable: false});
    const button = element('button', {type: 'button', className: 'sam-example', title: example.name}, picture);
    button.addEventListener('click', () => onExample(example));
    refs.examples.append(button);
  }

  /** @param {NonNullable<PageState['modelInfo']>} modelInfo */
  function showModel({device, weights, reason}) {
    refs.device.textContent = device;
    refs.weights.textContent = WEIGHTS[weights];
    refs.weightsNote.textContent = weights === 'bundled' ? BUNDLED_NOTE : '';
    refs.weightsNote.title = reason;
    refs.modelInfo.textContent = `${device} · ${WEIGHTS[weights]} weights`;
  }

  store.subscribe((state, previous) => {
    if (state.modelInfo && state.modelInfo !== previous.modelInfo) showModel(state.modelInfo);
    if (state.encodeCost) refs.encodeCost.textContent = state.encodeCost;
  });
}
