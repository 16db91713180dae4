import {clamp, clampedTo, isInside} from './geometry.js';

export const MAX_ZOOM = 16;
const FIT_BELOW = 1.001;        // a smaller zoom cannot be told from the whole photo
const FIT = {zoom: 1, x: 0.5, y: 0.5};

/** Creates the viewport of a photo. `measure` returns the size of the canvas and the width of the photo at zoom 1, in
 * CSS pixels.
 * @param {() => Size & {photoWidth: number}} measure @param {() => void} onChange */
export function createViewport(measure, onChange) {
  let photo = {width: 0, height: 0};  // zero while there is none
  let view = FIT;

  function projection(of = view) {
    const {width, height, photoWidth} = measure(), scale = of.zoom * photoWidth / photo.width;
    const left = width / 2 - of.x * photo.width * scale, top = height / 2 - of.y * photo.height * scale;
    return {scale, left, top, width, height, photo};
  }

  function toScreen(/** @type {Point} */ {x, y}) {
    const {scale, left, top} = projection();
    return {x: left + x * scale, y: top + y * scale};
  }

  /** @type {(screenPoint: Point, of?: View) => Point} */
  function toImage({x, y}, of = view) {
    const {scale, left, top} = projection(of);
    return {x: (x - left) / scale, y: (y - top) / scale};
  }

  /** Shows the nearest view in which, along each axis, the photo covers the canvas or is centred. */
  function show(/** @type {View} */ {zoom, x, y}) {
    if (!photo.width) return;
    const {width, height, scale} = projection({zoom, x, y});
    /** @type {(centre: number, photoLength: number, canvasLength: number) => number} */
    const along = (centre, photoLength, canvasLength) => {
      const half = canvasLength / (2 * photoLength * scale);
      return half >= 0.5 ? 0.5 : clamp(centre, half, 1 - half);
    };
    view = zoom < FIT_BELOW ? FIT : {zoom, x: along(x, photo.width, width), y: along(y, photo.height, height)};
    onChange();
  }

  /** Scales the photo by a factor and moves what was at the screenPoint `from` to `to`.
   * @type {(factor: number, from: Point, to: Point, start?: View) => void} */
  function transform(factor, from, to, start = view) {
    const zoom = Math.min(start.zoom * factor, MAX_ZOOM), {x, y} = toImage(from, start);
    const {width, height, scale} = projection({...start, zoom});
    show({
      zoom,
      x: (x - (to.x - width / 2) / scale) / photo.width,
      y: (y - (to.y - height / 2) / scale) / photo.height,
    });
  }

  return {
    projection, toScreen, toImage, transform,
    get photo() { return photo; },
    get isReady() { return photo.width > 0; },
    get view() { return view; },
    /** The imagePoint in the middle of the canvas. */
    get centre() { return {x: view.x * photo.width, y: view.y * photo.height}; },
    /** What shows of the photo, in its pixels. @returns {Box} */
    get visible() {
      const {width, height} = measure();
      const from = clampedTo(toImage({x: 0, y: 0}), photo), to = clampedTo(toImage({x: width, y: height}), photo);
      return [from.x, from.y, to.x, to.y];
    },
    isVisible: (/** @type {Point} */ imagePoint) => isInside(toScreen(imagePoint), measure()),
    open(/** @type {Size} */ size) { photo = size; show(FIT); },
    fit() { show(FIT); },
    /** The canvas has changed its size. */
    refresh() { show(view); },
    /** Moves the photo just far enough to show an imagePoint, a margin in CSS pixels from the edge. */
    reveal(/** @type {Point} */ imagePoint, /** @type {number} */ margin) {
      const from = toScreen(imagePoint), {width, height} = measure();
      const within = (/** @type {number} */ position, /** @type {number} */ length) => (
        clamp(position, Math.min(margin, length / 2), Math.max(length - margin, length / 2)));
      transform(1, from, {x: within(from.x, width), y: within(from.y, height)});
    },
  };
}

/** @typedef {ReturnType<typeof createViewport>} Viewport */
