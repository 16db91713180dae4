// A mask as what can be drawn at any zoom: its fill as a small canvas, its outline as a path.

/**
 * Traces a mask, one byte a pixel and column by column: {fill, x, y, outline, width, height}, the fill's
 * upper left corner and the outline in pixels of the mask.
 */
function traceMask(mask, height, width, colour) {
  const [x0, y0, x1, y1] = boundsOf(mask, height, width), outline = new Path2D();
  const fill = document.createElement('canvas');
  fill.width = Math.max(1, x1 - x0);
  fill.height = Math.max(1, y1 - y0);
  const context = fill.getContext('2d'), image = context.createImageData(fill.width, fill.height);
  const colours = new Uint32Array(image.data.buffer);
  const at = (x, y) => (x >= x0 && y >= y0 && x < x1 && y < y1 ? mask[x * height + y] : 0);
  // Edges that follow one another are one line: an edge begins where the one before it ends.
  const lines = ([a0, a1], [b0, b1], differs, line) => {
    for (let a = a0; a <= a1; a++) {
      for (let b = b0, start = -1; b <= b1; b++) {
        const edge = b < b1 && differs(a, b);
        if (edge && start < 0) start = b;
        if (!edge && start >= 0) { line(a, start, b); start = -1; }
      }
    }
  };
  lines([x0, x1], [y0, y1], (x, y) => at(x - 1, y) !== at(x, y), (x, from, to) => { outline.moveTo(x, from); outline.lineTo(x, to); });
  lines([y0, y1], [x0, x1], (y, x) => at(x, y - 1) !== at(x, y), (y, from, to) => { outline.moveTo(from, y); outline.lineTo(to, y); });
  for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) if (at(x, y)) colours[(y - y0) * fill.width + x - x0] = colour;
  context.putImageData(image, 0, 0);
  return {fill, x: x0, y: y0, outline, width, height};
}

/** [x0, y0, x1, y1] that holds the mask; zeros where it is empty. */
function boundsOf(mask, height, width) {
  let x0 = width, y0 = height, x1 = 0, y1 = 0;
  for (let x = 0; x < width; x++) {
    const first = mask.indexOf(1, x * height);
    if (first < 0) break;
    x = Math.floor(first / height);
    const last = mask.lastIndexOf(1, (x + 1) * height - 1);
    x0 = Math.min(x0, x);
    x1 = x + 1;
    y0 = Math.min(y0, first - x * height);
    y1 = Math.max(y1, last - x * height + 1);
  }
  return x1 ? [x0, y0, x1, y1] : [0, 0, 0, 0];
}

/** Draws a traced mask's fill, or its outline in [colour, line width] from the lowest up. */
function drawTraced(context, traced, {scale, left, top}, photo, strokes) {
  const kx = scale * photo.width / traced.width, ky = scale * photo.height / traced.height;
  context.save();
  context.translate(left, top);
  context.scale(kx, ky);
  context.imageSmoothingEnabled = false;
  if (!strokes) context.drawImage(traced.fill, traced.x, traced.y);
  context.lineCap = 'square';
  for (const [style, line] of strokes || []) {
    context.strokeStyle = style;
    context.lineWidth = line / kx;
    context.stroke(traced.outline);
  }
  context.restore();
}
