// The photo with its masks and markers, and the gestures on it.
import {clampedTo, fitted, isInside} from '../core/geometry.js';
import {decodeForDisplay} from '../core/rle.js';
import {createViewport} from '../core/viewport.js';
import {clearCanvas, contextOf, createCanvas, freshContext, resize} from './canvas2d.js';
import {createCloseup} from './closeup.js';
import {createCrosshair} from './crosshair.js';
import {listenToGestures} from './gestures.js';
import {drawBox, drawCrosshair, drawPoint} from './markers.js';
import {createMaskPaths, paintMask, paintStrokes} from './mask_painting.js';
import {createObjectLayer} from './object_layer.js';

const MAX_CANVAS_SIDE = 2048;   // a larger canvas costs time and shows no more at fit
const MAX_SCALE = 4;            // a tiny photo enlarged further is a blur,
const MIN_SIDE_PX = 400;        // but it must be large enough to click into
const MAX_MASK_DENSITY = 1.5;   // mask pixels per CSS pixel, on sharper screens too

/** Creates the stage. `displaySide` is the longest side at which masks are shown; `onView` is called when the view or
 * the size of the stage has changed.
 * @param {Refs} refs
 * @param {{tool: Tool, displaySide: number, onView: (zoom: number) => void}} options */
export function createStage(refs, {tool, displaySide, onView}) {
  const {stage, frame, photo, mask, marks} = refs;
  const pathOf = createMaskPaths(displaySide), drawCloseup = createCloseup(refs.closeup, pathOf);
  const objects = createObjectLayer(refs.layer, displaySide, pathOf);
  let pictures = /** @type {Picture[]} */ ([]);  // the photo to draw from, in ascending order of size
  let gesture = /** @type {Gesture | null} */ (null);
  let beganInside = false;
  let interactions = /** @type {Interaction[]} */ ([]);
  let pointer = /** @type {Point | null} */ (null);  // the screenPoint that the mouse is over
  let rle = /** @type {Rle | null} */ (null);  // of the newest mask
  const answered = createCanvas(1, 1);  // shows it, without the strokes
  let strokes = /** @type {Stroke[]} */ ([]);  // those that the mask does not contain yet

  let room = {width: 0, height: 0, photoWidth: 0};  // of the stage; to measure it at every mask would force layouts

  const viewport = createViewport(() => room, () => {
    drawLayers();
    drawMarks();
    onView(viewport.view.zoom);
  });

  function measure() {
    const {width, height} = marks.getBoundingClientRect();
    room = {width, height, photoWidth: frame.getBoundingClientRect().width};
  }

  /** At fit the layers of photo and masks show as they are; zoomed in, the close-up shows instead. */
  function drawLayers() {
    if (!viewport.isReady || !room.width) return;
    const isZoomed = viewport.view.zoom > 1;
    stage.dataset.zoomed = isZoomed ? 'yes' : 'no';
    if (isZoomed) drawCloseup(viewport.projection(), {pictures, objects, mask: rle, strokes});
    else objects.drawFit(viewport.projection());
  }

  function drawMarks() {
    if (!viewport.isReady) return;
    const {toScreen} = viewport, {scale, width, height} = viewport.projection();
    const context = freshContext(marks, width, height);
    tool.draw?.(context, toScreen, gesture, viewport.photo);
    const boxes = interactions.flatMap((item) => (item.type === 'box' ? [item.box] : []));
    for (const box of boxes.slice(-1)) drawBox(context, box, toScreen, false);
    for (const item of interactions) {
      if (item.type === 'point') drawPoint(context, toScreen({x: item.x + 0.5, y: item.y + 0.5}), item.label);
    }
    const crossed = crosshair.imagePoint && toScreen(crosshair.imagePoint);
    const cursor = gesture ? toScreen(gesture.to) : crossed ?? pointer;
    if (cursor) tool.cursor?.(context, cursor, scale);
    if (crossed) drawCrosshair(context, crossed);
  }

  /** Draws the mask at fit with the strokes on it. */
  function drawMask() {
    const {width, height} = answered, context = contextOf(mask);
    resize(mask, width, height);
    clearCanvas(mask);
    context.drawImage(answered, 0, 0);
    paintStrokes(context, strokes, viewport.photo, {left: 0, top: 0, width, height});
  }

  /** Shows a mask and the strokes that it does not contain yet. No mask is an empty one of the same size, as another size
   * would cost time at the next click. */
  function showMask(/** @type {Rle | null} */ next, /** @type {Stroke[]} */ newer) {
    if (next === rle && !strokes.length && !newer.length) return;
    if (next && next !== rle) paintMask(answered, decodeForDisplay(next, displaySide));
    if (!next) clearCanvas(answered);
    rle = next;
    strokes = newer;
    drawMask();
    drawLayers();
  }

  /** @type {GestureHandlers} */
  const gestures = {
    get isInProgress() { return gesture !== null; },
    begin(imagePoint, isNegative) {
      const size = viewport.photo, from = clampedTo(imagePoint, size), {scale} = viewport.projection();
      beganInside = isInside(imagePoint, size);
      gesture = {from, to: from, passed: [from], moved: false, isNegative, photo: size, scale};
      tool.begin?.(gesture);
      drawMarks();
    },
    move(imagePoints, moved) {
      if (!gesture) return;
      const passed = imagePoints.map((imagePoint) => clampedTo(imagePoint, viewport.photo));
      gesture = {...gesture, passed, to: passed[passed.length - 1], moved, scale: viewport.projection().scale};
      tool.move?.(gesture);
      if (moved) drawMarks();
    },
    end() {
      if (!gesture) return;
      const ended = gesture;
      gesture = null;
      if (ended.moved || beganInside) tool.end(ended);
      else tool.cancel?.();     // a click beside the photo; a drag may begin there
      drawMarks();
    },
    cancel() {
      const hadMoved = Boolean(gesture?.moved);
      gesture = null;
      tool.cancel?.();
      drawMarks();
      return hadMoved;
    },
  };

  const crosshair = createCrosshair(viewport, gestures, (imagePoint) => tool.hover?.(imagePoint, viewport.photo), drawMarks);

  listenToGestures(marks, viewport, gestures, (screenPoint) => {
    pointer = screenPoint;
    if (!viewport.isReady) return;
    crosshair.hide();
    tool.hover?.(screenPoint && viewport.toImage(screenPoint), viewport.photo);
    drawMarks();
  });
  marks.addEventListener('focus', () => { if (viewport.isReady && marks.matches(':focus-visible')) crosshair.show(); });
  marks.addEventListener('blur', () => { gestures.cancel(); crosshair.hide(); });
  const observer = new ResizeObserver(() => {
    measure();
    if (viewport.isReady && room.width) viewport.refresh();
  });
  observer.observe(stage);
  observer.observe(frame);

  /** Gives the stage the shape of a photo, which may not have arrived yet. */
  function reserve(/** @type {number} */ width, /** @type {number} */ height) {
    const scale = Math.max(MAX_SCALE, MIN_SIDE_PX / Math.max(width, height));
    frame.style.setProperty('--ratio', String(width / height));
    frame.style.setProperty('--widest', `${width * scale}px`);
    frame.style.aspectRatio = `${width} / ${height}`;
  }

  return {
    reserve, crosshair, showMask,
    fit: viewport.fit, cancelGesture: gestures.cancel, redrawMarks: drawMarks,
    /** The imagePoint under the crosshair or the pointer; null where there is neither. */
    get target() { return crosshair.imagePoint ?? (pointer && viewport.toImage(pointer)); },
    /** The longest side that a mask needs for an outline about one CSS pixel wide. */
    get maskSide() {
      const density = Math.min(window.devicePixelRatio || 1, MAX_MASK_DENSITY);
      const {scale, photo: {width, height}} = viewport.projection();
      return Math.min(displaySide, Math.round(Math.max(width, height) * scale * density));
    },
    /** Shows a photo with this size; the picture may be smaller.
     * @type {(picture: Picture, width: number, height: number) => void} */
    show(picture, width, height) {
      resize(photo, ...fitted(width, height, MAX_CANVAS_SIDE));
      const context = contextOf(photo);
      context.imageSmoothingQuality = 'high';
      context.fillStyle = '#fff';
      context.fillRect(0, 0, photo.width, photo.height);
      context.drawImage(picture, 0, 0, photo.width, photo.height);
      pictures = [photo, picture].filter((one) => one.width >= photo.width);
      reserve(width, height);
      measure();
      gestures.cancel();
      crosshair.reset();
      viewport.open({width, height});
      resize(answered, ...fitted(width, height, displaySide));
      clearCanvas(answered);
      rle = null;
      strokes = [];
      drawMask();
    },
    setInteractions(/** @type {Interaction[]} */ next) { interactions = next; drawMarks(); },
    /** @type {(drawn: DrawnObject[], exclusive: Exclusive) => void} */
    setObjects(drawn, exclusive) { objects.set(drawn, exclusive); drawLayers(); },
    setTool(/** @type {Tool} */ next) {
      if (next === tool) return;
      gestures.cancel();
      tool = next;
      drawMarks();
    },
    /** Zooms towards the crosshair, or towards the middle. @param {number} factor */
    zoomBy(factor) {
      const at = viewport.toScreen(crosshair.imagePoint ?? viewport.centre);
      viewport.transform(factor, at, at);
    },
  };
}

/** @typedef {ReturnType<typeof createStage>} Stage */
