// Mouse, pen, fingers and wheel on the canvas, as strokes, zooms and pans in its CSS pixels.
//
// One finger or the left or right button strokes. Two fingers, the middle button, or the left one
// while Space is held move the photo; a second finger gives up the stroke of the first.
//
// Whose is the wheel, the photo's or the page's? With Ctrl, which a trackpad's pinch sends too, always
// the photo's. Else a visitor may just be scrolling past: zoomed in it zooms, as in an image editor;
// at fit, rolling down always scrolls the page, and rolling up zooms only where the page has nowhere
// to scroll up to, or after a click into the photo while its top is in sight. A roll stays with what
// it began with, so that neither a scroll that meets the photo nor a zoom that ends at fit goes astray.

const CLICK_SLOP_PX = {mouse: 4, pen: 6, touch: 12};
const ROLL_PAUSE_MS = 250;      // a longer pause begins another roll of the wheel
const LINE_PX = 16;
const NOTCH_MOST_PX = 120;
const PINCH_GAIN = 5;           // a trackpad's pinch comes in small pieces
const ZOOM_PER_PX = 0.002;

/** Whether a page that may be framed by another one has nowhere to scroll up to. */
function isPageAtTop() {
  return window.top === window && document.scrollingElement.scrollTop <= 0;
}

/**
 * Listens to a canvas.
 *   isReady(), isZoomed(): whether there is a photo, and whether more than the whole of it could show
 *   begin(spot, second), move(spot, moved), end(), cancel(): a stroke
 *   zoom(factor, spot), pan(dx, dy): the view
 *   grip(): the view is taken hold of; pull(factor, from, to): it is pulled from where it was then
 *   hover(spot): the pointer is in use; where, if it is not down, null when it leaves
 */
function createGestures(canvas, {isReady, isZoomed, begin, move, end, cancel, zoom, pan, grip, pull, hover}) {
  const fingers = new Map();    // the pointers that are down, and their spots
  let mode = null;              // stroke, pan or pinch, until all of them are up
  let start = null, moved = false, gripped = null, held = false, over = false;

  function setMode(next) {
    mode = next;
    canvas.dataset.grab = next === 'pan' || next === 'pinch' ? 'yes' : held ? 'ready' : 'no';
  }

  /** The middle of the fingers, and how far apart the first two are. */
  function spread() {
    const [a, b = a] = fingers.values();
    return {x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, length: Math.hypot(a.x - b.x, a.y - b.y)};
  }

  /** Takes hold with the fingers that are down: measured from here, nothing is lost at an edge. */
  function takeHold() {
    gripped = spread();
    grip();
  }

  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('mousedown', (event) => { if (event.button === 1) event.preventDefault(); });  // no autoscroll
  canvas.addEventListener('pointerdown', (event) => {
    if (!isReady()) return;
    event.preventDefault();
    if (event.isPrimary) {
      canvas.focus({preventScroll: true});
      hover();
      fingers.clear();
      cancel();
      setMode(null);
    }
    if (fingers.size === 2) return;               // a third finger
    const spot = spotOf(event, canvas);
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, spot);
    if (fingers.size === 2) {
      cancel();
      setMode('pinch');
      takeHold();
    } else if (event.button === 1 || (held && event.button === 0)) {
      setMode('pan');
      takeHold();
    } else if (mode === null && (event.button === 0 || event.button === 2)) {
      start = spot;
      moved = false;
      setMode('stroke');
      begin(spot, event.button === 2 || event.shiftKey || event.altKey);
    }
  });
  canvas.addEventListener('pointermove', (event) => {
    over = true;
    if (!fingers.has(event.pointerId)) return hover(spotOf(event, canvas));
    const spot = spotOf(event, canvas);
    fingers.set(event.pointerId, spot);
    if (mode === 'stroke') {
      const slop = CLICK_SLOP_PX[event.pointerType] || CLICK_SLOP_PX.mouse;
      moved = moved || Math.hypot(spot.x - start.x, spot.y - start.y) > slop;
      return move(spot, moved);
    }
    if (!mode) return;
    const now = spread();
    pull(gripped.length ? now.length / gripped.length : 1, gripped, now);
  });
  function lift(event) {
    if (!fingers.delete(event.pointerId)) return;
    const stroked = mode === 'stroke';
    if (fingers.size) return takeHold();
    setMode(null);
    if (!stroked) return;
    if (event.type !== 'pointerup') return cancel();
    move(spotOf(event, canvas), moved);
    end();
  }
  for (const type of ['pointerup', 'pointercancel', 'lostpointercapture']) canvas.addEventListener(type, lift);
  canvas.addEventListener('pointerleave', () => {
    over = false;
    hover(null);
  });

  // ---- the wheel -----------------------------------------------------------------------------

  let rolledAt = -Infinity, isPhotos = false;
  const belongsToPhoto = ({target, deltaY}) => target === canvas && (isZoomed() || (deltaY < 0 && (isPageAtTop()
    || (document.activeElement === canvas && canvas.getBoundingClientRect().top >= 0))));
  document.addEventListener('wheel', (event) => {   // also beside the canvas, where a scroll may begin
    if (event.timeStamp - rolledAt > ROLL_PAUSE_MS) isPhotos = belongsToPhoto(event);
    rolledAt = event.timeStamp;
  }, {capture: true, passive: true});
  canvas.addEventListener('wheel', (event) => {
    if (!isReady() || !(event.ctrlKey || isPhotos)) return;
    event.preventDefault();
    const unit = event.deltaMode === 0 ? 1 : LINE_PX;
    if (!event.ctrlKey && Math.abs(event.deltaX) > Math.abs(event.deltaY)) return pan(-event.deltaX * unit, 0);
    const way = clamp(event.deltaY * unit * (event.ctrlKey ? PINCH_GAIN : 1), -NOTCH_MOST_PX, NOTCH_MOST_PX);
    zoom(Math.exp(-way * ZOOM_PER_PX), spotOf(event, canvas));
  }, {passive: false});

  // ---- Space ---------------------------------------------------------------------------------

  // A button that was reached by Tab keeps its Space; one that was clicked on before gives it up.
  let tabbed = false;
  const isForPhoto = (target) => target === canvas || (over && !tabbed && !target.matches('input, textarea, dialog *'));
  document.addEventListener('pointerdown', () => { tabbed = false; }, {capture: true});
  function hold(next) {
    held = next;
    setMode(mode);
  }
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Tab') tabbed = true;
    if (event.key !== ' ' || !isReady() || !(held || isForPhoto(event.target))) return;
    event.preventDefault();
    hold(true);
  });
  document.addEventListener('keyup', (event) => {
    if (event.key !== ' ' || !held) return;
    event.preventDefault();
    hold(false);
  });
  window.addEventListener('blur', () => hold(false));
}
