// Masks as run lengths -> pixels on a canvas.

const MASK_FILL = 0x6bff8a1e;   // ABGR: a clear blue at 42%
const MASK_EDGE = 0xffffffff;   // white, just inside the mask
const MASK_RIM = 0xd8a04a0a;    // deep blue, just outside: the outline shows on any background

/** Row-major run lengths, zeros first, to one byte a pixel. */
function decodeRuns(rle, length) {
  const mask = new Uint8Array(length);
  let position = 0, value = 0;
  for (const run of rle.split(' ')) {
    const end = position + Number(run);
    if (value) mask.fill(1, position, end);
    position = end;
    value ^= 1;
  }
  return mask;
}

/** Paints a mask in one go, fill and outline, so that nothing flickers. */
function paintMask(canvas, rle, height, width) {
  const mask = decodeRuns(rle, height * width);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p++) {
      const left = x > 0 ? mask[p - 1] : 0, right = x < width - 1 ? mask[p + 1] : 0;
      const up = y > 0 ? mask[p - width] : 0, down = y < height - 1 ? mask[p + width] : 0;
      if (mask[p]) colours[p] = left & right & up & down ? MASK_FILL : MASK_EDGE;
      else if (left | right | up | down) colours[p] = MASK_RIM;
    }
  }
  context.putImageData(image, 0, 0);
}

function clearCanvas(canvas) {
  canvas.getContext('2d').clearRect(0, 0, canvas.width, canvas.height);
}
