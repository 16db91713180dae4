// The markers of the interactions, which can be dragged and removed: points, and the last box with its handles.
import {clamp, pixelAt} from './geometry.js';

/** How near to a marker a press takes hold of it, in CSS pixels. */
export const REACH_PX = {mouse: 10, pen: 10, touch: 22};
const BORDER_SHARE = 0.6;       // of that reach: beside the border of a box, a drag draws another one
const MIN_SIDE_PX = 48;         // of a box on the screen that has handles in the middle of its sides

/** The handles of a box, as imagePoints. @type {(box: Box, scale: number) => (Point & {sides: [x: number, y: number]})[]} */
export function handlesOf([x0, y0, x1, y1], scale) {
  const xs = [x0, (x0 + x1) / 2, x1], ys = [y0, (y0 + y1) / 2, y1];
  const hasMiddle = [(x1 - x0) * scale >= MIN_SIDE_PX, (y1 - y0) * scale >= MIN_SIDE_PX];
  return [-1, 0, 1].flatMap((sideX) => [-1, 0, 1].flatMap((sideY) => {
    const isHandle = (sideX || sideY) && (sideX || hasMiddle[0]) && (sideY || hasMiddle[1]);
    return isHandle ? [{x: xs[sideX + 1], y: ys[sideY + 1], sides: /** @type {[number, number]} */ ([sideX, sideY])}] : [];
  }));
}

/** The index of the box that counts, or -1. */
export const boxIndex = (/** @type {Interaction[]} */ interactions) => (
  interactions.map(({type}) => type).lastIndexOf('box'));

/** @type {(box: Box, at: Point, distance: number) => boolean} */
function isNearBorder([x0, y0, x1, y1], {x, y}, distance) {
  const isWithin = (/** @type {number} */ by) => x >= x0 - by && x <= x1 + by && y >= y0 - by && y <= y1 + by;
  return isWithin(distance) && !isWithin(-distance);
}

/** The marker within reach of an imagePoint: the nearest point, else the nearest handle of the box, else its border.
 * @type {(interactions: Interaction[], at: Point, reach: number, scale: number) => Marker | null} */
export function markerAt(interactions, at, reach, scale) {
  /** @type {<Place extends Point>(places: Place[]) => Place | undefined} */
  const nearest = (places) => {
    const distance = (/** @type {Point} */ {x, y}) => Math.hypot(x - at.x, y - at.y) * scale;
    return places.filter((place) => distance(place) <= reach).sort((a, b) => distance(a) - distance(b))[0];
  };
  const point = nearest(interactions.flatMap((item, index) => (
    item.type === 'point' ? [{index, x: item.x + 0.5, y: item.y + 0.5}] : [])));
  if (point) return {index: point.index, sides: null};
  const index = boxIndex(interactions), item = interactions[index];
  if (item?.type !== 'box') return null;
  const handle = nearest(handlesOf(item.box, scale));
  if (handle) return {index, sides: handle.sides};
  return isNearBorder(item.box, at, BORDER_SHARE * reach / scale) ? {index, sides: [0, 0]} : null;
}

/** A range [low, high] of which one end follows a drag, so that it stays at least a pixel long and within a length.
 * @type {(low: number, high: number, side: number, by: number, length: number) => [low: number, high: number]} */
function resized(low, high, side, by, length) {
  if (!side) return [low, high];
  const fixed = side < 0 ? high : low, moved = clamp(Math.round((side < 0 ? low : high) + by), 0, length);
  if (moved === fixed) return fixed < length ? [fixed, fixed + 1] : [fixed - 1, fixed];
  return [Math.min(fixed, moved), Math.max(fixed, moved)];
}

/** @type {(box: Box, sides: [x: number, y: number], by: Point, photo: Size) => Box} */
function changedBox([x0, y0, x1, y1], [sideX, sideY], by, {width, height}) {
  if (!sideX && !sideY) {
    const dx = clamp(Math.round(by.x), -x0, width - x1), dy = clamp(Math.round(by.y), -y0, height - y1);
    return [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
  }
  const [left, right] = resized(x0, x1, sideX, by.x, width), [top, bottom] = resized(y0, y1, sideY, by.y, height);
  return [left, top, right, bottom];
}

/** The choices of a candidate after an interaction that changes are dropped: they chose among masks of the former one.
 * @type {(interactions: Interaction[], index: number, changed: Interaction[]) => Interaction[]} */
const replaced = (interactions, index, changed) => (
  [...interactions.slice(0, index), ...changed, ...interactions.slice(index + 1).filter(({type}) => type !== 'candidate')]);

/** The interactions with a marker moved by a vector in pixels of the photo; the same list where that changes nothing.
 * @type {(interactions: Interaction[], marker: Marker, by: Point, photo: Size) => Interaction[]} */
export function withMoved(interactions, {index, sides}, by, photo) {
  const item = interactions[index];
  if (item.type === 'point') {
    const {x, y} = pixelAt({x: item.x + 0.5 + by.x, y: item.y + 0.5 + by.y}, photo);
    return x === item.x && y === item.y ? interactions : replaced(interactions, index, [{...item, x, y}]);
  }
  if (item.type !== 'box' || !sides) return interactions;
  const box = changedBox(item.box, sides, by, photo);
  return String(box) === String(item.box) ? interactions : replaced(interactions, index, [{...item, box}]);
}

/** The interactions without a marker; none where only a crop would be left.
 * @type {(interactions: Interaction[], marker: Marker) => Interaction[]} */
export function withoutMarker(interactions, {index}) {
  const rest = replaced(interactions, index, []);
  return rest.every(({type}) => type === 'crop') ? [] : rest;
}

/** The CSS cursor over a marker. */
export function cursorOf(/** @type {Marker} */ {sides}) {
  const [x, y] = sides ?? [0, 0];
  if (!x && !y) return 'move';
  if (x && y) return x === y ? 'nwse-resize' : 'nesw-resize';
  return x ? 'ew-resize' : 'ns-resize';
}
