/** @type {(value: number, min: number, max: number) => number} */
export const clamp = (value, min, max) => Math.min(Math.max(value, min), max);

/** Width and height scaled down to a longest side.
 * @type {(width: number, height: number, side: number) => [width: number, height: number]} */
export function fitted(width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/** @type {(point: Point, size: Size) => boolean} */
export const isInside = ({x, y}, size) => x >= 0 && y >= 0 && x <= size.width && y <= size.height;

/** The nearest point within a size. @type {(point: Point, size: Size) => Point} */
export const clampedTo = ({x, y}, size) => ({x: clamp(x, 0, size.width), y: clamp(y, 0, size.height)});

/** The pixel that holds a point. @type {(point: Point, size: Size) => Point} */
export const pixelAt = ({x, y}, {width, height}) => (
  {x: clamp(Math.floor(x), 0, width - 1), y: clamp(Math.floor(y), 0, height - 1)});

/** The smallest box of whole pixels that holds two imagePoints. @type {(a: Point, b: Point) => Box} */
export function boxBetween(a, b) {
  return [
    Math.floor(Math.min(a.x, b.x)), Math.floor(Math.min(a.y, b.y)),
    Math.ceil(Math.max(a.x, b.x)), Math.ceil(Math.max(a.y, b.y)),
  ];
}

/** The fewest points of a path that keep it within a tolerance (Ramer, Douglas and Peucker).
 * @type {(path: [x: number, y: number][], tolerance: number) => [x: number, y: number][]} */
export function simplifiedPath(path, tolerance) {
  const end = path.length - 1, [x0, y0] = path[0], [x1, y1] = path[end];
  const dx = x1 - x0, dy = y1 - y0, squaredLength = dx * dx + dy * dy;
  let farthest = 0, maxDistance = tolerance;
  for (let k = 1; k < end; k++) {
    const [x, y] = path[k];
    const t = squaredLength ? clamp(((x - x0) * dx + (y - y0) * dy) / squaredLength, 0, 1) : 0;
    const distance = Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
    if (distance > maxDistance) { maxDistance = distance; farthest = k; }
  }
  if (!farthest) return end ? [path[0], path[end]] : path;
  const before = simplifiedPath(path.slice(0, farthest + 1), tolerance);
  return [...before.slice(0, -1), ...simplifiedPath(path.slice(farthest), tolerance)];
}
