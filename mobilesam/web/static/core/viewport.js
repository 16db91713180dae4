// @ts-check
// The only place that converts between screenPoints and imagePoints. Pure functions of a view (what is
// seen of the photo) and a viewport (where it is shown).
/** @import {Point, Projection, View, Viewport} from './types.js' */
import {clamp} from './geometry.js';

/** @type {Readonly<View>} */
export const FIT = Object.freeze({zoom: 1, x: 0.5, y: 0.5});
export const MAX_ZOOM = 16;
const FIT_BELOW = 1.001;        // a zoom that looks like the whole photo is the whole photo

/** @type {(view: View, viewport: Viewport) => Projection} */
export function projection(view, {width, height, fit, photo}) {
  const scale = fit * view.zoom;
  return {scale, left: width / 2 - view.x * photo.width * scale, top: height / 2 - view.y * photo.height * scale};
}

/** @type {(view: View, viewport: Viewport, imagePoint: Point) => Point} */
export function toScreen(view, viewport, imagePoint) {
  const {scale, left, top} = projection(view, viewport);
  return {x: left + imagePoint.x * scale, y: top + imagePoint.y * scale};
}

/** @type {(view: View, viewport: Viewport, screenPoint: Point) => Point} */
export function toImage(view, viewport, screenPoint) {
  const {scale, left, top} = projection(view, viewport);
  return {x: (screenPoint.x - left) / scale, y: (screenPoint.y - top) / scale};
}

/** The nearest view that leaves no needless empty space: the photo covers the canvas, or is centred.
 * @type {(view: View, viewport: Viewport) => View} */
export function constrained(view, {width, height, fit, photo}) {
  if (view.zoom < FIT_BELOW) return FIT;
  const zoom = Math.min(view.zoom, MAX_ZOOM);
  /** @type {(centre: number, photoLength: number, canvasLength: number) => number} */
  const along = (centre, photoLength, canvasLength) => {
    const half = canvasLength / (2 * photoLength * fit * zoom);
    return half >= 0.5 ? 0.5 : clamp(centre, half, 1 - half);
  };
  return {zoom, x: along(view.x, photo.width, width), y: along(view.y, photo.height, height)};
}

/** The photo scaled by a factor and moved so that what was at one screenPoint is at another.
 * @type {(view: View, viewport: Viewport, factor: number, from: Point, to: Point) => View} */
export function transformed(view, viewport, factor, from, to) {
  const {width, height, fit, photo} = viewport;
  const zoom = clamp(view.zoom * factor, 1, MAX_ZOOM), scale = fit * zoom;
  const {x, y} = toImage(view, viewport, from);
  return constrained({
    zoom,
    x: (x - (to.x - width / 2) / scale) / photo.width,
    y: (y - (to.y - height / 2) / scale) / photo.height,
  }, viewport);
}

/** The photo scaled by a factor around a screenPoint.
 * @type {(view: View, viewport: Viewport, factor: number, at: Point) => View} */
export const zoomed = (view, viewport, factor, at) => transformed(view, viewport, factor, at, at);

/** The photo moved by CSS pixels.
 * @type {(view: View, viewport: Viewport, dx: number, dy: number) => View} */
export const panned = (view, viewport, dx, dy) => transformed(view, viewport, 1, {x: 0, y: 0}, {x: dx, y: dy});

/** The photo moved just far enough to show an imagePoint, a margin in CSS pixels from the edge.
 * @type {(view: View, viewport: Viewport, imagePoint: Point, margin: number) => View} */
export function revealing(view, viewport, imagePoint, margin) {
  const {x, y} = toScreen(view, viewport, imagePoint);
  /** @type {(position: number, length: number) => number} */
  const missing = (position, length) => (
    clamp(position, Math.min(margin, length / 2), Math.max(length - margin, length / 2)) - position);
  return panned(view, viewport, missing(x, viewport.width), missing(y, viewport.height));
}
