/** The colours of objects, in the order of their use; `mobilesam/objects.py` has the same. */
export const PALETTE = [
  '#1e8aff', '#f97316', '#22c55e', '#d946ef', '#facc15', '#ef4444', '#06b6d4', '#a3e635', '#f472b6', '#a16207', '#8b5cf6',
];

/** A colour as a pixel, 0xAABBGGRR; `brightness` below 1 darkens it.
 * @type {(colour: string, alpha: number, brightness?: number) => number} */
export function pixelOf(colour, alpha, brightness = 1) {
  const [red, green, blue] = [1, 3, 5].map((at) => Math.round(parseInt(colour.slice(at, at + 2), 16) * brightness));
  return (alpha << 24 | blue << 16 | green << 8 | red) >>> 0;
}
