// The part of photo and mask that shows when zoomed in, drawn at the screen's own resolution: the
// photo's pixels as they are, and an outline that is no thicker than at fit.

const CRISP_FROM_PX = 4;        // a photo pixel that large is drawn as a square, a smaller one smoothly
const OUTLINE = 'rgb(10,74,160)';

/** The mask's fill as a canvas, and its outline as a path along the edges of its pixels. */
function traceMask(rle) {
  const [height, width] = rle.size, mask = decodeMask(rle), outline = new Path2D();
  const fill = document.createElement('canvas');
  fill.width = width;
  fill.height = height;
  const context = fill.getContext('2d'), image = context.createImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  const at = (x, y) => (x >= 0 && y >= 0 && x < width && y < height ? mask[x * height + y] : 0);
  // Edges that follow one another are one line: an edge begins where the one before it ends.
  const lines = (across, along, differs, line) => {
    for (let a = 0; a <= across; a++) {
      for (let b = 0, start = -1; b <= along; b++) {
        const edge = b < along && differs(a, b);
        if (edge && start < 0) start = b;
        if (!edge && start >= 0) { line(a, start, b); start = -1; }
      }
    }
  };
  lines(width, height, (x, y) => at(x - 1, y) !== at(x, y), (x, y0, y1) => { outline.moveTo(x, y0); outline.lineTo(x, y1); });
  lines(height, width, (y, x) => at(x, y - 1) !== at(x, y), (y, x0, x1) => { outline.moveTo(x0, y); outline.lineTo(x1, y); });
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (at(x, y)) colours[y * width + x] = MASK_FILL;
  context.putImageData(image, 0, 0);
  return {fill, outline, width, height};
}

/** Draws the part of a picture of the whole photo that is on the canvas. */
function drawVisible(context, picture, {scale, left, top}, room) {
  const kx = scale * room.photo.width / picture.width, ky = scale * room.photo.height / picture.height;
  const x0 = Math.max(0, Math.floor(-left / kx)), x1 = Math.min(picture.width, Math.ceil((room.width - left) / kx));
  const y0 = Math.max(0, Math.floor(-top / ky)), y1 = Math.min(picture.height, Math.ceil((room.height - top) / ky));
  context.drawImage(picture, x0, y0, x1 - x0, y1 - y0, left + x0 * kx, top + y0 * ky, (x1 - x0) * kx, (y1 - y0) * ky);
}

function createCloseup(canvas) {
  const layer = document.createElement('canvas');
  let traced = null, mask = null;

  function drawMask(context, place, room) {
    traced = traced || traceMask(mask);
    const {scale, left, top} = place, {photo} = room, k = scale * photo.width / traced.width;
    context.imageSmoothingEnabled = false;
    drawVisible(context, traced.fill, place, room);
    context.save();
    context.translate(left, top);
    context.scale(k, scale * photo.height / traced.height);
    context.lineCap = 'square';
    for (const [style, line] of [[OUTLINE, 3], ['#fff', 1.5]]) {
      context.strokeStyle = style;
      context.lineWidth = line / k;
      context.stroke(traced.outline);
    }
    context.restore();
  }

  /** Mask and strokes on a layer of their own: an eraser must not reach the photo. */
  function drawPainted(context, place, room, strokes) {
    const painted = freshContext(layer, room.width, room.height);
    if (mask) drawMask(painted, place, room);
    painted.translate(place.left, place.top);
    painted.scale(place.scale, place.scale);
    painted.beginPath();
    painted.rect(0, 0, room.photo.width, room.photo.height);
    painted.save();
    painted.clip();
    paintStrokes(painted, strokes);
    painted.restore();
    context.drawImage(layer, 0, 0, room.width, room.height);
  }

  return {
    setMask(rle) { mask = rle; traced = null; },
    /** Draws what is in view; `pictures` are the photo in several sizes, the smallest first, `strokes` of the brush. */
    draw(view, room, pictures, strokes) {
      const context = freshContext(canvas, room.width, room.height);
      const place = projection(view, room), {scale, left, top} = place, {photo} = room;
      const wanted = scale * (window.devicePixelRatio || 1) * photo.width;
      const picture = pictures.find(({width}) => width >= wanted) || pictures[pictures.length - 1];
      context.fillStyle = '#fff';
      context.fillRect(left, top, photo.width * scale, photo.height * scale);
      context.imageSmoothingEnabled = scale < CRISP_FROM_PX;
      drawVisible(context, picture, place, room);
      if (strokes.length) drawPainted(context, place, room, strokes);
      else if (mask) drawMask(context, place, room);
    },
  };
}
