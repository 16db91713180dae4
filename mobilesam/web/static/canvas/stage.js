// The photo with its masks and markers, and the gestures on it.
import {clampedTo, fitted, isInside} from '../core/geometry.js';
import {PALETTE} from '../core/palette.js';
import {decodeForDisplay} from '../core/rle.js';
import {createViewport} from '../core/viewport.js';
import {clearCanvas, contextOf, createCanvas, freshContext, resize} from './canvas2d.js';
import {createCloseup} from './closeup.js';
import {createCrosshair} from './crosshair.js';
import {listenToGestures} from './gestures.js';
import {drawCrosshair, drawMarkers} from './markers.js';
import {createMaskPaths, drawMaskPath, outlinePath, paintMask, paintStrokes} from './mask_painting.js';
import {highlightLines, createObjectLayer} from './object_layer.js';

const MAX_CANVAS_SIDE = 2048;   // a larger canvas costs time and shows no more at fit
const MAX_SCALE = 4;            // a tiny photo enlarged further is a blur,
const MIN_SIDE_PX = 400;        // but it must be large enough to click into
const NEXT_ALPHA = '2e';        // of the fill, appended to '#rrggbb'
const NEXT_LINES = /** @type {[colour: string, width: number][]} */ ([['rgba(0,0,0,.45)', 3], ['rgba(255,255,255,.8)', 1.5]]);
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
  let colour = PALETTE[0];  // of that mask
  let nextPath = /** @type {MaskPath | null} */ (null);  // of the mask that a click would make
  let highlighted = /** @type {{rle: Rle, colour: string} | null} */ (null);
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
    if (isZoomed) drawCloseup(viewport.projection(), {pictures, objects, mask: rle, colour, strokes});
    else objects.drawFit(viewport.projection());
  }

  function drawMarks() {
    if (!viewport.isReady) return;
    const {toScreen} = viewport, projection = viewport.projection(), {scale, width, height} = projection;
    const context = freshContext(marks, width, height);
    if (nextPath) drawMaskPath(context, nextPath, projection, {fill: colour + NEXT_ALPHA, lines: NEXT_LINES});
    if (highlighted) drawMaskPath(context, pathOf(highlighted.rle), projection, {lines: highlightLines(highlighted.colour)});
    tool.draw?.(context, toScreen, gesture, viewport.photo);
    drawMarkers(context, interactions, toScreen, scale, tool.marker);
    const crossed = crosshair.imagePoint && toScreen(crosshair.imagePoint);
    const cursor = gesture ? toScreen(gesture.to) : crossed ?? pointer;
    if (cursor) tool.cursor?.(context, cursor, scale);
    if (crossed) drawCrosshair(context, crossed);
    marks.toggleAttribute('data-crosshair', Boolean(crossed));
  }

  /** Draws the mask at fit with the strokes on it. */
  function drawMask() {
    const {width, height} = answered, context = contextOf(mask);
    resize(mask, width, height);
    clearCanvas(mask);
    context.drawImage(answered, 0, 0);
    paintStrokes(context, strokes, colour, viewport.photo, {left: 0, top: 0, width, height});
  }

  /** Shows a mask in a colour, and the strokes that it does not contain yet. No mask is an empty one of the same size, as
   * another size would cost time at the next click.
   * @type {(next: Rle | null, nextColour: string, newer: Stroke[]) => void} */
  function showMask(next, nextColour, newer) {
    const isOther = next !== rle || nextColour !== colour;
    if (!isOther && !strokes.length && !newer.length) return;
    colour = nextColour;
    if (next && isOther) paintMask(answered, decodeForDisplay(next, displaySide), colour);
    if (!next) clearCanvas(answered);
    rle = next;
    strokes = newer;
    drawMask();
    drawLayers();
  }

  /** @type {GestureHandlers} */
  const gestures = {
    get isInProgress() { return gesture !== null; },
    begin(imagePoint, isNegative, reach) {
      const size = viewport.photo, from = clampedTo(imagePoint, size), {scale} = viewport.projection();
      beganInside = isInside(imagePoint, size);
      gesture = {from, to: from, passed: [from], moved: false, isNegative, photo: size, scale, reach};
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

  /** Tells the tool what the pointer or the crosshair is on, and shows what a press there would do. */
  function hover(/** @type {Point | null} */ imagePoint) {
    const {cursor, title} = tool.hover?.(imagePoint, viewport.photo, viewport.projection().scale) ?? {cursor: '', title: ''};
    marks.style.setProperty('--sam-cursor', cursor);
    if (marks.title !== title) marks.title = title;
  }

  const crosshair = createCrosshair(viewport, gestures, hover, showTarget);

  /** The imagePoint under the crosshair or the pointer; null where there is neither. */
  const target = () => crosshair.imagePoint ?? (pointer && viewport.toImage(pointer));

  function showTarget() {
    if (!viewport.isReady) return;
    hover(target());
    drawMarks();
  }

  function follow(/** @type {Point | null} */ screenPoint) {
    pointer = screenPoint;
    showTarget();
  }

  listenToGestures(marks, viewport, gestures, {
    onPointer(screenPoint) { crosshair.hide(); follow(screenPoint); },
    onLeave() { follow(null); },   // the crosshair stays: the canvas may have moved away under a resting pointer
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
    get target() { return target(); },
    /** What shows of the photo, in its pixels. */
    get visible() { return viewport.visible; },
    /** CSS pixels per photo pixel. */
    get scale() { return viewport.projection().scale; },
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
    /** No photo is open any more. */
    clear() {
      viewport.fit();
      frame.removeAttribute('style');
    },
    setInteractions(/** @type {Interaction[]} */ next) { interactions = next; drawMarks(); },
    /** @type {(drawn: DrawnObject[], exclusive: Exclusive) => void} */
    setObjects(drawn, exclusive) { objects.set(drawn, exclusive); drawLayers(); },
    /** Shows faintly what a click would select. @param {Outline | null} next */
    showNext(next) {
      nextPath = next && {path: outlinePath(next), size: [viewport.photo.height, viewport.photo.width]};
      drawMarks();
    },
    /** Strengthens the outline of an object; null: of none. */
    highlight(/** @type {{rle: Rle, colour: string} | null} */ next) {
      if (next === highlighted) return;
      highlighted = next;
      drawMarks();
    },
    setTool(/** @type {Tool} */ next) {
      if (next === tool) return;
      gestures.cancel();
      if (viewport.isReady) hover(null);
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
