// Working without a pointer: a crosshair that the arrow keys move, and strokes made with it.

const STEP_PX = 6;              // of an arrow key, at least one pixel of the photo
const LARGE_STEPS = 8;          // of an arrow key with Shift
const MARGIN_PX = 32;           // the crosshair stays that far from the edge of the canvas

/**
 * The crosshair.
 *   look(): {photo, scale, middle, sees(place)}: the photo's size, CSS pixels a photo pixel, the place
 *     in the middle of the canvas, and whether another one is on it
 *   begin(place, second), move(place), end(), cancel(): a stroke
 *   onMove(place): the crosshair is to be shown there, null: nowhere
 */
function createCrosshair({look, begin, move, end, cancel, onMove}) {
  let at = null, shown = false, boxing = false;

  /** Puts it in the middle of a pixel. */
  function put(place) {
    const {x, y} = pixelAt(place, look().photo);
    at = {x: x + 0.5, y: y + 0.5};
    shown = true;
    if (boxing) move(at);
    onMove(at);
  }
  const show = () => {
    if (!shown) put(at && look().sees(at) ? at : look().middle);
  };

  return {
    get place() { return shown ? at : null; },
    show,
    hide() {
      if (!shown || boxing) return;
      shown = false;
      onMove(null);
    },
    /** Another photo: it starts in the middle again. */
    reset() { at = null; shown = boxing = false; },
    /** The stroke that it made is over, whoever ended it. */
    release() { boxing = false; },
    step(dx, dy, large) {
      if (!shown) return show();
      const step = Math.max(1, Math.round(STEP_PX / look().scale)) * (large ? LARGE_STEPS : 1);
      put({x: at.x + dx * step, y: at.y + dy * step});
    },
    /** A point where it is; or the end of the box that it began. */
    mark(second) {
      show();
      if (!boxing) begin(at, second);
      end();
    },
    /** A corner of a box: the first begins it, the second ends it. */
    corner() {
      show();
      if (boxing) return end();
      begin(at, false);
      boxing = true;
      move(at);
    },
  };
}
