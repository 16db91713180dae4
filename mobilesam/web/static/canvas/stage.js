// @ts-check
// The photo with its masks and markers, what is seen of it, and the gestures on it.
/** @import {DrawnObject, Exclusive, Gesture, Interaction, Point, Rle, Size, Stroke, Tool, View} from '../core/types.js' */
/** @import {Picture} from './closeup.js' */
import {clampedTo, fitted, isInside} from '../core/geometry.js';
import {decodeForDisplay} from '../core/rle.js';
import {FIT, constrained, panned, projection, revealing, toImage, toScreen, transformed, zoomed} from '../core/viewport.js';
import {clearCanvas, contextOf, createCanvas, freshContext, resize} from './canvas2d.js';
import {createCloseup} from './closeup.js';
import {createCrosshair} from './crosshair.js';
import {listenToGestures} from './gestures.js';
import {drawBox, drawCrosshair, drawPoint} from './markers.js';
import {paintMask, paintStrokes} from './mask_painting.js';
import {createObjectLayer} from './object_layer.js';

const MAX_CANVAS_SIDE = 2048;   // a larger canvas costs time and shows no more at fit
const MAX_SCALE = 4;            // a tiny photo enlarged further is a blur,
const MIN_SIDE_PX = 400;        // but it must be large enough to click into
const MAX_MASK_DENSITY = 1.5;   // mask pixels per CSS pixel, on sharper screens too
const MARGIN_PX = 32;           // the crosshair keeps that distance from the edge of the canvas

/**
 * The elements of the stage; `marks` takes the pointer and the keyboard.
 * @typedef {{stage: HTMLElement, frame: HTMLElement, photo: HTMLCanvasElement, layer: HTMLCanvasElement,
 *   mask: HTMLCanvasElement, closeup: HTMLCanvasElement, marks: HTMLCanvasElement}} StageRefs
 */

/**
 * Creates the stage.
 * @param {StageRefs} refs
 * @param {object} options
 * @param {Tool} options.tool
 * @param {number} options.displaySide the longest side at which masks are shown
 * @param {(zoom: number) => void} options.onView what is seen has changed
 */
export function createStage(refs, {tool, displaySide, onView}) {
  const {stage, frame, photo, mask, marks} = refs;
  const closeup = createCloseup(refs.closeup), objects = createObjectLayer(refs.layer, displaySide);
  let size = {width: 0, height: 0};     // of the photo; zero while there is none
  /** @type {Picture[]} */
  let pictures = [];            // the photo to draw from, the smallest first
  let view = FIT, initialView = FIT, beganInside = false;
  /** @type {Gesture | null} */
  let gesture = null;
  /** @type {Interaction[]} */
  let interactions = [];
  /** @type {Point | null} */
  let pointer = null;           // the screenPoint that the mouse is over
  const answered = createCanvas(1, 1);  // the mask as the server returned it,
  let hasMask = false;
  /** @type {Stroke[]} */
  let strokes = [];             // and the strokes since then

  const isReady = () => size.width > 0;
  const isZoomed = () => view.zoom > 1;

  function viewport() {
    const {width, height} = marks.getBoundingClientRect();
    return {width, height, fit: frame.getBoundingClientRect().width / size.width, photo: size};
  }

  /** At fit the layers of photo and masks show as they are; zoomed in, the close-up shows instead. */
  function draw() {
    if (!isReady()) return;
    const current = viewport();
    if (!current.width) return;
    stage.dataset.zoomed = isZoomed() ? 'yes' : 'no';
    if (isZoomed()) closeup.draw(view, current, pictures, objects, strokes);
    else objects.drawFit(frame.clientWidth, frame.clientHeight, size);
    drawMarks();
  }

  function drawMarks() {
    if (!isReady()) return;
    const current = viewport(), context = freshContext(marks, current.width, current.height);
    /** @param {Point} imagePoint */
    const onScreen = (imagePoint) => toScreen(view, current, imagePoint);
    tool.under?.(context, onScreen, size);
    const boxes = interactions.flatMap((item) => (item.type === 'box' ? [item.box] : []));
    for (const [x0, y0, x1, y1] of boxes.slice(-1)) drawBox(context, onScreen({x: x0, y: y0}), onScreen({x: x1, y: y1}), false);
    if (gesture) tool.draw(context, onScreen);
    for (const item of interactions) {
      if (item.type === 'point') drawPoint(context, onScreen({x: item.x + 0.5, y: item.y + 0.5}), item.label);
    }
    const crossed = crosshair.imagePoint && onScreen(crosshair.imagePoint);
    const cursor = gesture ? onScreen(gesture.to) : crossed ?? pointer;
    if (cursor) tool.cursor(context, cursor, projection(view, current).scale);
    if (crossed) drawCrosshair(context, crossed);
  }

  /** The mask at fit: the newest one, and what was painted on it since. */
  function drawMask() {
    if (!hasMask && !strokes.length) return clearCanvas(mask);
    const [width, height] = hasMask ? [answered.width, answered.height] : fitted(size.width, size.height, displaySide);
    resize(mask, width, height);
    const context = contextOf(mask);
    context.clearRect(0, 0, width, height);
    if (hasMask) context.drawImage(answered, 0, 0);
    context.save();
    context.scale(width / size.width, height / size.height);
    paintStrokes(context, strokes);
    context.restore();
  }

  /** @type {(rle: Rle | null, newer: Stroke[]) => void} */
  function setMask(rle, newer) {
    const bitmap = rle && decodeForDisplay(rle, displaySide);
    hasMask = bitmap !== null;
    strokes = newer;
    if (bitmap) paintMask(answered, bitmap);
    closeup.setMask(bitmap);
    drawMask();
    draw();
  }

  /** @param {View} next */
  function setView(next) {
    view = next;
    draw();
    onView(view.zoom);
  }

  // ---- gestures: of a pointer or of the crosshair, passed on to the tool ---------------------

  /** @type {(imagePoint: Point, isNegative: boolean) => void} */
  function beginGesture(imagePoint, isNegative) {
    const from = clampedTo(imagePoint, size), {scale} = projection(view, viewport());
    beganInside = isInside(imagePoint, size);
    gesture = {from, to: from, moved: false, isNegative, photo: size, scale};
    tool.begin(gesture);
  }

  /** @type {(imagePoints: Point[], moved: boolean) => void} */
  function moveGesture(imagePoints, moved) {
    if (!gesture) return;
    const {scale} = projection(view, viewport());
    for (const imagePoint of imagePoints) {
      gesture = {...gesture, to: clampedTo(imagePoint, size), moved, scale};
      tool.move(gesture);
    }
    if (moved) drawMarks();
  }

  function endGesture() {
    const done = gesture;
    gesture = null;
    crosshair.release();
    if (!done) return;
    if (done.moved || beganInside) tool.end(done);
    else tool.cancel();         // a click beside the photo; a drag may begin there
    drawMarks();
  }

  /** Cancels the gesture; whether it was more than a press. */
  function cancelGesture() {
    const hadMoved = Boolean(gesture?.moved);
    gesture = null;
    crosshair.release();
    tool.cancel();
    drawMarks();
    return hadMoved;
  }

  /** @param {Point | null} imagePoint */
  function hoverTool(imagePoint) {
    if (isReady()) tool.hover?.(imagePoint, size);
  }

  const crosshair = createCrosshair({
    look() {
      const current = viewport();
      return {
        photo: size,
        scale: projection(view, current).scale,
        centre: {x: view.x * size.width, y: view.y * size.height},
        isVisible: (imagePoint) => isInside(toScreen(view, current, imagePoint), current),
      };
    },
    begin: beginGesture,
    move: (imagePoint) => moveGesture([imagePoint], true),
    end: endGesture,
    onMove(imagePoint) {
      if (imagePoint) hoverTool(imagePoint);
      setView(imagePoint ? revealing(view, viewport(), imagePoint, MARGIN_PX) : view);
    },
  });

  listenToGestures(marks, {
    isReady, isZoomed,
    begin(screenPoint, isNegative) {
      crosshair.hide();
      beginGesture(toImage(view, viewport(), screenPoint), isNegative);
    },
    move(screenPoints, moved) {
      if (pointer) pointer = screenPoints[screenPoints.length - 1];
      const current = viewport();
      moveGesture(screenPoints.map((screenPoint) => toImage(view, current, screenPoint)), moved);
    },
    end: endGesture,
    cancel: cancelGesture,
    zoom: (factor, screenPoint) => setView(zoomed(view, viewport(), factor, screenPoint)),
    pan: (dx, dy) => setView(panned(view, viewport(), dx, dy)),
    beginTransform() { initialView = view; },
    transform: (factor, from, to) => setView(transformed(initialView, viewport(), factor, from, to)),
    hover(screenPoint) {
      const isSeen = pointer || screenPoint;
      pointer = screenPoint;
      crosshair.hide();
      if (isSeen) drawMarks();
      hoverTool(screenPoint && toImage(view, viewport(), screenPoint));
    },
    leave() {
      pointer = null;
      hoverTool(null);
      drawMarks();
    },
  });
  marks.addEventListener('focus', () => { if (isReady() && marks.matches(':focus-visible')) crosshair.show(); });
  marks.addEventListener('blur', () => { cancelGesture(); crosshair.hide(); });
  const observer = new ResizeObserver(() => {
    if (isReady() && marks.clientWidth) setView(constrained(view, viewport()));
  });
  observer.observe(stage);
  observer.observe(frame);

  /** Gives the stage the shape of a photo, which may still be on its way.
   * @type {(width: number, height: number) => void} */
  function reserve(width, height) {
    const scale = Math.max(MAX_SCALE, MIN_SIDE_PX / Math.max(width, height));
    frame.style.setProperty('--ratio', String(width / height));
    frame.style.setProperty('--widest', `${width * scale}px`);
    frame.style.aspectRatio = `${width} / ${height}`;
  }

  return {
    reserve, cancelGesture, crosshair,
    redrawMarks: drawMarks,
    /** @returns {Size | null} of the photo in its own pixels */
    get size() { return isReady() ? size : null; },
    /** The canvas that shows the photo at fit. */
    get photo() { return photo; },
    /** The longest side that a mask needs for an outline about one CSS pixel wide. */
    get maskSide() {
      const density = Math.min(window.devicePixelRatio || 1, MAX_MASK_DENSITY);
      return Math.min(displaySide, Math.ceil(Math.max(frame.clientWidth, frame.clientHeight) * density * view.zoom));
    },
    /** Shows a photo of a size; the picture may be smaller.
     * @type {(picture: Picture, width: number, height: number) => void} */
    show(picture, width, height) {
      size = {width, height};
      resize(photo, ...fitted(width, height, MAX_CANVAS_SIDE));
      const context = contextOf(photo);
      context.imageSmoothingQuality = 'high';
      context.fillStyle = '#fff';
      context.fillRect(0, 0, photo.width, photo.height);
      context.drawImage(picture, 0, 0, photo.width, photo.height);
      pictures = [photo, picture].filter((one) => one.width >= photo.width);
      reserve(width, height);
      cancelGesture();
      setMask(null, []);
      crosshair.reset();
      setView(FIT);
    },
    /** @type {(next: Interaction[]) => void} */
    setInteractions(next) { interactions = next; draw(); },
    /** @type {(drawn: DrawnObject[], exclusive: Exclusive) => void} */
    setObjects(drawn, exclusive) { objects.set(drawn, exclusive); draw(); },
    /** @type {(screenPoint: Point) => Point} */
    imagePointAt: (screenPoint) => toImage(view, viewport(), screenPoint),
    /** Shows a mask, or none, below the strokes that it does not contain yet.
     * @type {(rle: Rle | null, newer: Stroke[]) => void} */
    showMask(rle, newer) { if (isReady()) setMask(rle, newer); },
    /** Shows other strokes on the same mask.
     * @type {(newer: Stroke[]) => void} */
    showStrokes(newer) {
      if (!isReady() || !(strokes.length || newer.length)) return;
      strokes = newer;
      drawMask();
      draw();
    },
    /** @type {(next: Tool) => void} */
    setTool(next) {
      if (next === tool) return;
      cancelGesture();
      tool = next;
      drawMarks();
    },
    fit() { if (isReady()) setView(FIT); },
    /** Zooms towards the crosshair, or towards the middle.
     * @type {(factor: number) => void} */
    zoomBy(factor) {
      if (!isReady()) return;
      const current = viewport(), {imagePoint} = crosshair;
      const centre = {x: current.width / 2, y: current.height / 2};
      setView(zoomed(view, current, factor, imagePoint ? toScreen(view, current, imagePoint) : centre));
    },
  };
}

/** @typedef {ReturnType<typeof createStage>} Stage */
