// The photo that is being opened, shown over the open one: a click on it counts as soon as it is open, also if another
// one is shown before.
import {contextOf} from '../canvas/canvas2d.js';
import {drawPoint} from '../canvas/markers.js';
import {fitted, pixelAt} from '../core/geometry.js';

/** @param {HTMLCanvasElement} canvas @param {number} side the longest side at which the photo is shown */
export function createIncoming(canvas, side) {
  let picture = /** @type {ImageBitmap | null} */ (null);
  let shownKey = '';            // of its photo
  const clicks = /** @type {Map<string, Point>} */ (new Map());         // as shares of a photo's width and height, by its key

  /** CSS pixels per pixel of the canvas, and where the picture begins on the page: it is fitted into its box. */
  function projection() {
    const {width, height, left, top} = canvas.getBoundingClientRect();
    const scale = Math.min(width / canvas.width, height / canvas.height);
    return {scale, left: left + (width - scale * canvas.width) / 2, top: top + (height - scale * canvas.height) / 2};
  }

  function draw() {
    if (!picture) return;
    const [width, height] = fitted(picture.width, picture.height, side);
    Object.assign(canvas, {width, height});     // clears it and resets its transform, too
    const context = contextOf(canvas);
    context.drawImage(picture, 0, 0, width, height);
    const clicked = clicks.get(shownKey);
    if (!clicked) return;
    const {scale} = projection();
    context.scale(1 / scale, 1 / scale);        // so that the marker is as large as any other
    drawPoint(context, {x: clicked.x * width * scale, y: clicked.y * height * scale}, 1);
  }

  canvas.addEventListener('click', (event) => {
    const {scale, left, top} = projection();
    const x = (event.clientX - left) / scale / canvas.width, y = (event.clientY - top) / scale / canvas.height;
    if (x < 0 || y < 0 || x >= 1 || y >= 1) return;
    clicks.set(shownKey, {x, y});
    draw();
  });

  return {
    /** @type {(next: ImageBitmap, key: string, click?: Point) => void} */
    show(next, key, click) {
      picture = next;
      shownKey = key;
      if (click) clicks.set(key, click);
      canvas.hidden = false;
      draw();
    },
    hide() {
      canvas.hidden = true;
      picture = null;
      shownKey = '';
    },
    get isClicked() { return clicks.has(shownKey); },
    /** Takes the click back. */
    unclick() {
      clicks.delete(shownKey);
      draw();
    },
    /** The pixel of the photo that was clicked, which is forgotten. @type {(key: string, photo: Size) => Point | null} */
    takeClick(key, photo) {
      const clicked = clicks.get(key);
      clicks.delete(key);
      return clicked ? pixelAt({x: clicked.x * photo.width, y: clicked.y * photo.height}, photo) : null;
    },
  };
}
