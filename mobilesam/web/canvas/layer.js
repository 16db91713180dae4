// The masks of the objects that are not being worked on, beneath the one that is.

const LAYER_ALPHA = 0.34;

/** '#rrggbb' as a pixel of a canvas. */
function fillColour(hex) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return ((Math.round(LAYER_ALPHA * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** A mask at another size, by the nearest pixel. */
function resizedMask(mask, [height, width], [toHeight, toWidth]) {
  if (height === toHeight && width === toWidth) return mask;
  const resized = new Uint8Array(toHeight * toWidth);
  for (let x = 0; x < toWidth; x++) {
    const from = Math.floor((x + 0.5) * width / toWidth) * height;
    for (let y = 0; y < toHeight; y++) resized[x * toHeight + y] = mask[from + Math.floor((y + 0.5) * height / toHeight)];
  }
  return resized;
}

/**
 * The masks of items {rle, iou} without overlaps, all of one size: as `objects.exclusive` does it on
 * the server, so that what shows is what is saved.
 */
function withoutOverlaps(items, keep) {
  const size = items.map(({rle}) => rle.size).reduce((a, b) => (a[0] * a[1] >= b[0] * b[1] ? a : b), [1, 1]);
  const order = items.map((item, index) => index);
  const rank = (index) => (items[index].iou === null ? -Infinity : items[index].iou);
  if (keep === 'predicted_iou') order.sort((a, b) => (rank(a) === rank(b) ? a - b : rank(a) < rank(b) ? -1 : 1));
  const taken = new Uint8Array(size[0] * size[1]), masks = [];
  for (const index of order.reverse()) {
    const mask = resizedMask(decodeMask(items[index].rle), items[index].rle.size, size);
    for (let p = 0; p < mask.length; p++) {
      if (taken[p]) mask[p] = 0;
      else taken[p] = mask[p];
    }
    masks[index] = mask;
  }
  return {masks, size};
}

/** The layer; `canvas` shows it at fit, `draw` puts it into a close-up. */
function createLayer(canvas) {
  let drawn = [], painted = '', version = 0;
  const traces = new WeakMap();           // of masks as they were answered, by their run lengths

  function traced({rle, colour}) {
    const known = traces.get(rle);
    if (known && known.colour === colour) return known.trace;
    const trace = traceMask(decodeMask(rle), ...rle.size, fillColour(colour));
    traces.set(rle, {colour, trace});
    return trace;
  }

  function draw(context, place, photo) {
    for (const {trace} of drawn) drawTraced(context, trace, place, photo);
    // All outlines above all fills: where objects overlap, each can be followed.
    for (const {trace, colour} of drawn) drawTraced(context, trace, place, photo, [['rgba(0,0,0,.6)', 3.5], [colour, 2]]);
  }

  return {
    /** Objects {rle, colour, iou, shows} in order; keep: who gets a shared pixel, or null. */
    set(items, keep) {
      version++;
      if (!keep || items.length < 2) {
        drawn = items.filter((item) => item.shows).map((item) => ({trace: traced(item), colour: item.colour}));
        return;
      }
      const {masks, size} = withoutOverlaps(items, keep);
      drawn = items.flatMap(({colour, shows}, index) => (
        shows ? [{trace: traceMask(masks[index], ...size, fillColour(colour)), colour}] : []));
    },
    draw,
    /** Paints the canvas that lies on the photo, where that has changed. */
    drawFit(width, height, photo) {
      const state = [version, width, height, photo.width, photo.height, window.devicePixelRatio].join();
      if (state === painted) return;
      painted = state;
      draw(freshContext(canvas, width, height), {scale: width / photo.width, left: 0, top: 0}, photo);
    },
  };
}
