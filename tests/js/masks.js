// Masks and numbers for the tests: pictures of '.' and '#', an encoder of COCO's compressed counts, and halves.

/** A bitmap from rows of '.' and '#'. */
export function bitmapOf(rows) {
  const height = rows.length, width = rows[0].length, data = new Uint8Array(height * width);
  for (let x = 0; x < width; x++) for (let y = 0; y < height; y++) data[x * height + y] = rows[y][x] === '#' ? 1 : 0;
  return {size: [height, width], data};
}

/** A bitmap as rows of '.' and '#'. */
export function rowsOf({size: [height, width], data}) {
  return Array.from({length: height}, (_, y) => (
    Array.from({length: width}, (_, x) => (data[x * height + y] ? '#' : '.')).join('')));
}

/** COCO's compressed RLE of run lengths, as rleToString in pycocotools writes it. */
export function rleOfRuns(size, runs) {
  let counts = '';
  runs.forEach((run, index) => {
    let value = index > 2 ? run - runs[index - 2] : run;
    for (let more = true; more;) {
      let code = value & 0x1f;
      value >>= 5;
      more = code & 0x10 ? value !== -1 : value !== 0;
      if (more) code |= 0x20;
      counts += String.fromCharCode(code + 48);
    }
  });
  return {size, counts};
}

/** The RLE of a bitmap, or of rows of '.' and '#'. */
export function rleOf(mask) {
  const {size, data} = Array.isArray(mask) ? bitmapOf(mask) : mask, runs = [0];
  let inside = 0;
  for (const value of data) {
    if (value !== inside) { runs.push(0); inside = value; }
    runs[runs.length - 1]++;
  }
  return rleOfRuns(size, runs);
}

/** A disc in a large mask, straight as runs. */
export function discRle(height, width, cx, cy, radius) {
  const runs = [];
  let position = 0, inside = 0;
  for (let x = 0; x < width; x++) {
    const reach = radius * radius - (x - cx) ** 2;
    if (reach < 0) continue;
    const half = Math.floor(Math.sqrt(reach)), start = x * height + cy - half, end = x * height + cy + half + 1;
    runs.push(start - position, end - start);
    inside += end - start;
    position = end;
  }
  if (position < height * width) runs.push(height * width - position);
  return {rle: rleOfRuns([height, width], runs), area: inside};
}

/** Seeded float16 values of magnitude 0.03 to 0.06, of either sign. */
export function halves(count, seed) {
  const values = new Uint16Array(count);
  for (let i = 0, state = seed; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = 0x2800 | (state >>> 17 & 0x83ff);
  }
  return values.buffer;
}
