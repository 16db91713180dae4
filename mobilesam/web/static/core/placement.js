// Where an object lies in the result: moved and scaled on another background. Boxes are in pixels of the photo.
import {clamp} from './geometry.js';
import {displaySize, insideRanges} from './rle.js';

const MIN_SCALE = 0.1, MAX_SCALE = 4;

/** Where the object is in the photo. @type {Placement} */
export const IN_PLACE = {x: 0, y: 0, scale: 1};

/** @type {(box: Box) => Point} */
const centreOf = ([x0, y0, x1, y1]) => ({x: (x0 + x1) / 2, y: (y0 + y1) / 2});

/** The box of a mask in a photo, measured at a display size; null if the mask is empty.
 * @type {(rle: Rle, side: number, photo: Size) => Box | null} */
export function boundsOf(rle, side, photo) {
  const size = displaySize(rle, side), [height, width] = size, ranges = insideRanges(rle, size);
  if (!ranges.length) return null;
  let top = height, bottom = 0;
  for (let k = 0; k < ranges.length; k += 2) {
    top = Math.min(top, ranges[k] % height);
    bottom = Math.max(bottom, (ranges[k + 1] - 1) % height + 1);
  }
  const left = Math.floor(ranges[0] / height), right = Math.floor((ranges[ranges.length - 1] - 1) / height) + 1;
  const scaleX = photo.width / width, scaleY = photo.height / height;
  return [
    Math.floor(left * scaleX), Math.floor(top * scaleY),
    Math.min(photo.width, Math.ceil(right * scaleX)), Math.min(photo.height, Math.ceil(bottom * scaleY)),
  ];
}

/** The smallest box around boxes. @type {(boxes: Box[]) => Box} */
export const boxAround = (boxes) => [
  Math.min(...boxes.map(([x0]) => x0)), Math.min(...boxes.map(([, y0]) => y0)),
  Math.max(...boxes.map(([, , x1]) => x1)), Math.max(...boxes.map(([, , , y1]) => y1)),
];

/** Where a box goes when the object with these bounds is placed: it is scaled about the object's centre.
 * @type {(box: Box, bounds: Box, placement: Placement) => Box} */
export function placed([x0, y0, x1, y1], bounds, {x, y, scale}) {
  const centre = centreOf(bounds);
  const alongX = (/** @type {number} */ at) => centre.x + (at - centre.x) * scale + x;
  const alongY = (/** @type {number} */ at) => centre.y + (at - centre.y) * scale + y;
  return [alongX(x0), alongY(y0), alongX(x1), alongY(y1)];
}

/** The part of a box that is in the photo, in whole pixels. @type {(box: Box, photo: Size) => Box} */
export const visiblePart = ([x0, y0, x1, y1], {width, height}) => [
  Math.max(0, Math.floor(x0)), Math.max(0, Math.floor(y0)), Math.min(width, Math.ceil(x1)), Math.min(height, Math.ceil(y1)),
];

/** Moves and scales an object further; its centre stays in the photo.
 * @type {(placement: Placement, bounds: Box, photo: Size, change: {x?: number, y?: number, factor?: number}) => Placement} */
export function moved(placement, bounds, photo, {x = 0, y = 0, factor = 1}) {
  const centre = centreOf(bounds);
  return {
    x: clamp(centre.x + placement.x + x, 0, photo.width) - centre.x,
    y: clamp(centre.y + placement.y + y, 0, photo.height) - centre.y,
    scale: clamp(placement.scale * factor, MIN_SCALE, MAX_SCALE),
  };
}

/** The box in which a picture fills a size, and is cut off at two sides where its shape is another one.
 * @type {(picture: Size, size: Size) => Box} */
export function covering(picture, {width, height}) {
  const scale = Math.max(width / picture.width, height / picture.height);
  const w = picture.width * scale, h = picture.height * scale;
  return [(width - w) / 2, (height - h) / 2, (width + w) / 2, (height + h) / 2];
}
