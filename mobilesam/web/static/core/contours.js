/** The closed lines between inside and outside, as corners in pixels of the mask. Two of them cross where
 * pixels touch at a corner only, so they are to be filled by the even-odd rule. */
export function contoursOf(/** @type {Bitmap} */ {size: [height, width], data}) {
  /** @type {(x: number, y: number) => number} */
  const at = (x, y) => (x >= 0 && y >= 0 && x < width && y < height ? data[x * height + y] : 0);
  const corners = /** @type {Point[]} */ ([]);  // down the columns
  const first = Math.floor(data.indexOf(1) / height), last = Math.floor(data.lastIndexOf(1) / height);
  for (let x = first; x <= last + 1; x++) {
    for (let y = 0; y <= height; y++) {
      if (at(x - 1, y - 1) ^ at(x, y - 1) ^ at(x - 1, y) ^ at(x, y)) corners.push({x, y});
    }
  }

  // Down a column, the first corner and the second are the ends of an edge, the third and the fourth are, and
  // so on; along a row it is the same. A contour takes edges of columns and of rows in turn.
  const byRow = [...corners.keys()].sort((a, b) => corners[a].y - corners[b].y);
  const across = new Uint32Array(corners.length);
  byRow.forEach((corner, rank) => { across[corner] = byRow[rank ^ 1]; });
  const isUsed = new Uint8Array(corners.length);
  const contours = [];
  for (let start = isUsed.indexOf(0); start >= 0; start = isUsed.indexOf(0, start)) {
    const contour = [];
    for (let corner = start; !isUsed[corner]; corner = across[corner ^ 1]) {
      isUsed[corner] = isUsed[corner ^ 1] = 1;
      contour.push(corners[corner], corners[corner ^ 1]);
    }
    contours.push(contour);
  }
  return contours;
}
