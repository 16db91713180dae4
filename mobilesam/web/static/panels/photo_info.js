// What there is to know before the first click: accepted files, examples, and the model.
/** @import {Page} from './page.js' */
import {element} from './page.js';

/** @typedef {{name: string, path: string, thumbnail: string}} Example */

const WEIGHTS = /** @type {Record<string, string>} */ ({official: 'official MobileSAM', bundled: 'bundled', custom: 'your own file'});
const BUNDLED_NOTE = 'The bundled weights work without a network. The official weights give better masks.';

/** @param {Page} page @param {Example[]} examples @param {(example: Example) => void} onExample */
export function createPhotoInfo({refs, store, limits}, examples, onExample) {
  refs.limits.textContent = `JPEG, PNG, WebP, GIF, BMP or TIFF, up to ${limits.max_mb} MB and ${limits.max_megapixels} megapixels`;

  refs.examples.append(...examples.map((example) => {
    const picture = element('img', {src: example.thumbnail, alt: 'Example photo: ' + example.name, draggable: false});
    const onclick = () => onExample(example);
    return element('button', {type: 'button', className: 'sam-example', title: example.name, onclick}, picture);
  }));

  store.subscribe(({modelInfo, encodeCost}, previous) => {
    if (encodeCost) refs.encodeCost.textContent = encodeCost;
    if (!modelInfo || modelInfo === previous.modelInfo) return;
    const {device, weights, reason} = modelInfo;
    refs.device.textContent = device;
    refs.weights.textContent = WEIGHTS[weights];
    refs.weightsNote.textContent = weights === 'bundled' ? BUNDLED_NOTE : '';
    refs.weightsNote.title = reason;
    refs.modelInfo.textContent = `${device} · ${WEIGHTS[weights]} weights`;
  });
}
