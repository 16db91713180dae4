// The part of photo and mask that shows when zoomed in, drawn at the screen's own resolution: the
// photo's pixels as they are, and an outline that is no thicker than at fit.

const CRISP_FROM_PX = 4;        // a photo pixel that large is drawn as a square, a smaller one smoothly
const OUTLINE = 'rgb(10,74,160)';

/** Draws the part of a picture of the whole photo that is on the canvas. */
function drawVisible(context, picture, {scale, left, top}, room) {
  const kx = scale * room.photo.width / picture.width, ky = scale * room.photo.height / picture.height;
  const x0 = Math.max(0, Math.floor(-left / kx)), x1 = Math.min(picture.width, Math.ceil((room.width - left) / kx));
  const y0 = Math.max(0, Math.floor(-top / ky)), y1 = Math.min(picture.height, Math.ceil((room.height - top) / ky));
  context.drawImage(picture, x0, y0, x1 - x0, y1 - y0, left + x0 * kx, top + y0 * ky, (x1 - x0) * kx, (y1 - y0) * ky);
}

function createCloseup(canvas) {
  const paper = document.createElement('canvas');
  let traced = null, mask = null;

  function drawMask(context, place, {photo}) {
    traced = traced || traceMask(decodeMask(mask), ...mask.size, MASK_FILL);
    drawTraced(context, traced, place, photo);
    drawTraced(context, traced, place, photo, [[OUTLINE, 3], ['#fff', 1.5]]);
  }

  /** Mask and strokes on a layer of their own: an eraser must not reach the photo. */
  function drawPainted(context, place, room, strokes) {
    const painted = freshContext(paper, room.width, room.height);
    if (mask) drawMask(painted, place, room);
    painted.translate(place.left, place.top);
    painted.scale(place.scale, place.scale);
    painted.beginPath();
    painted.rect(0, 0, room.photo.width, room.photo.height);
    painted.save();
    painted.clip();
    paintStrokes(painted, strokes);
    painted.restore();
    context.drawImage(paper, 0, 0, room.width, room.height);
  }

  return {
    setMask(rle) { mask = rle; traced = null; },
    /**
     * Draws what is in view: `pictures`, the photo in several sizes, the smallest first; the layer of
     * objects; the mask and the `strokes` of the brush on it.
     */
    draw(view, room, pictures, layer, strokes) {
      const context = freshContext(canvas, room.width, room.height);
      const place = projection(view, room), {scale, left, top} = place, {photo} = room;
      const wanted = scale * (window.devicePixelRatio || 1) * photo.width;
      const picture = pictures.find(({width}) => width >= wanted) || pictures[pictures.length - 1];
      context.fillStyle = '#fff';
      context.fillRect(left, top, photo.width * scale, photo.height * scale);
      context.imageSmoothingEnabled = scale < CRISP_FROM_PX;
      drawVisible(context, picture, place, room);
      layer.draw(context, place, photo);
      if (strokes.length) drawPainted(context, place, room, strokes);
      else if (mask) drawMask(context, place, room);
    },
  };
}
