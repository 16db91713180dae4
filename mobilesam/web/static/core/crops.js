// The part of a photo that is encoded for a view that is zoomed in. The model sees 1024 pixels along the longer side of
// what is encoded, in which a small object of a whole photo has few.

const MIN_ZOOM = 2.5;
const MODEL_SIDE = 1024;        // a crop of a photo that is not larger shows the model nothing more
const MIN_SIDE = 256;           // of a crop; a smaller one has too little around the object
const MAX_EXCESS = 2;           // how much longer than the view a crop that is used again may be

/** @type {(box: Box) => number} */
const longSide = ([x0, y0, x1, y1]) => Math.max(x1 - x0, y1 - y0);

/** @type {(outer: Box, inner: Box) => boolean} */
const contains = (outer, inner) => (
  outer[0] <= inner[0] && outer[1] <= inner[1] && outer[2] >= inner[2] && outer[3] >= inner[3]);

/** The crop for a view, in pixels of the photo; null where the whole photo does as well. `visible` is what shows of the
 * photo. The sides lie on a grid, and the crop of an earlier view is kept as long as it fits, so that there are few.
 * @type {(visible: Box, zoom: number, photo: Size, earlier: Box | null) => Box | null} */
export function cropFor(visible, zoom, {width, height}, earlier) {
  if (zoom < MIN_ZOOM || Math.max(width, height) <= MODEL_SIDE || Math.min(width, height) < MIN_SIDE) return null;
  const side = Math.max(longSide(visible), MIN_SIDE);
  if (earlier && contains(earlier, visible) && longSide(earlier) <= MAX_EXCESS * side) return earlier;
  const cell = 2 ** Math.floor(Math.log2(side / 4));
  /** @type {(low: number, high: number, length: number) => [low: number, high: number]} */
  const along = (low, high, length) => {
    const margin = Math.max(0, (MIN_SIDE - (high - low)) / 2);
    return [Math.max(0, Math.floor((low - margin) / cell) * cell), Math.min(length, Math.ceil((high + margin) / cell) * cell)];
  };
  const [x0, x1] = along(visible[0], visible[2], width), [y0, y1] = along(visible[1], visible[3], height);
  return [x0, y0, x1, y1];
}
