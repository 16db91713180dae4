// Masks in COCO's compressed RLE -> pixels on a canvas.

const MASK_FILL = 0x6bff8a1e;   // ABGR: a clear blue at 42%
const MASK_EDGE = 0xffffffff;   // white, just inside the mask
const MASK_RIM = 0xd8a04a0a;    // deep blue, just outside: the outline shows on any background

/** COCO's compressed counts (rleFrString in pycocotools) to run lengths, zeros first. */
function parseCounts(counts) {
  const runs = [];
  for (let p = 0; p < counts.length;) {
    let value = 0, shift = 0, code;
    do {
      code = counts.charCodeAt(p++) - 48;
      value |= (code & 0x1f) << shift;
      shift += 5;
    } while (code & 0x20);
    if (code & 0x10) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

/** One byte a pixel, column by column as COCO counts them. */
function decodeMask({size: [height, width], counts}) {
  const mask = new Uint8Array(height * width);
  let position = 0, value = 0;
  for (const run of parseCounts(counts)) {
    if (value) mask.fill(1, position, position + run);
    position += run;
    value ^= 1;
  }
  return mask;
}

/** Paints a mask in one go, fill and outline, so that nothing flickers. */
function paintMask(canvas, rle) {
  const [height, width] = rle.size, mask = decodeMask(rle);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  for (let x = 0, p = 0; x < width; x++) {
    for (let y = 0; y < height; y++, p++) {
      const up = y > 0 ? mask[p - 1] : 0, down = y < height - 1 ? mask[p + 1] : 0;
      const left = x > 0 ? mask[p - height] : 0, right = x < width - 1 ? mask[p + height] : 0;
      if (mask[p]) colours[y * width + x] = left & right & up & down ? MASK_FILL : MASK_EDGE;
      else if (left | right | up | down) colours[y * width + x] = MASK_RIM;
    }
  }
  context.putImageData(image, 0, 0);
}

function clearCanvas(canvas) {
  canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);
}
