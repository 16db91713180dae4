// The photo with its mask and markers, what is seen of it, and who answers the gestures on it.

const CANVAS_SIDE = 2048;       // a larger canvas costs time and at fit shows no more
const MASK_SIDE = 1024;         // the model knows no more than that
const SCALE_MOST = 4;           // a tiny photo blown up further is a blur,
const SIDE_LEAST_PX = 400;      // but it must be large enough to click into

/** Width and height scaled down to a long side. */
function fitted(width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/** Shows a photo; `tool` is told of the strokes on it (tools.js), onView of a change of what is seen. */
function createStage(part, {tool, onView}) {
  const {stage: area, frame, photo, mask, marks} = part;
  const closeup = createCloseup(part.closeup);
  let size = null;              // {width, height} of the upright photo, in its own pixels
  let pictures = [];            // the photo to draw from, the smallest first
  let view = FIT, gripped = FIT, stroke = null, begunInside = false, actions = [];

  function room() {
    const {width, height} = marks.getBoundingClientRect();
    return {width, height, fit: frame.getBoundingClientRect().width / size.width, photo: size};
  }

  /** At fit the layers of photo and mask show as they are; closer, the close-up shows instead. */
  function draw() {
    if (!size) return;
    const here = room();
    if (!here.width) return;
    area.dataset.zoomed = view === FIT ? 'no' : 'yes';
    if (view !== FIT) closeup.draw(view, here, pictures);
    drawMarks(here);
  }

  function drawMarks(here = room()) {
    const context = freshContext(marks, here.width, here.height);
    const spot = (place) => toSpot(view, here, place);
    if (tool.under) tool.under(context, spot, size);
    const last = actions.filter((action) => action.type === 'box').pop();
    if (last) drawBox(context, spot({x: last.box[0], y: last.box[1]}), spot({x: last.box[2], y: last.box[3]}), false);
    if (stroke) tool.draw(context, spot);
    for (const {type, x, y, label} of actions) {
      if (type === 'point') drawPoint(context, spot({x: x + 0.5, y: y + 0.5}), label);
    }
    if (crosshair.place) drawCrosshair(context, spot(crosshair.place));
  }

  function look(next) {
    view = next;
    draw();
    onView(view.zoom);
  }

  // ---- strokes: of a pointer or of the crosshair, told to the tool --------------------------

  function beginStroke(place, second) {
    const from = placeInside(place, size);
    begunInside = isInside(place, size);
    stroke = {from, to: from, moved: false, second, photo: size, scale: projection(view, room()).scale};
    tool.begin(stroke);
  }

  function moveStroke(place, moved) {
    if (!stroke) return;
    stroke = {...stroke, to: placeInside(place, size), moved, scale: projection(view, room()).scale};
    tool.move(stroke);
    if (moved) drawMarks();
  }

  function endStroke() {
    const done = stroke;
    stroke = null;
    crosshair.release();
    if (!done) return;
    if (done.moved || begunInside) tool.end(done);
    else tool.cancel();         // a click beside the photo; a drag may well begin there
    drawMarks();
  }

  /** Gives up the stroke; whether there was more of it than a press. */
  function cancelStroke() {
    const begun = Boolean(stroke && stroke.moved);
    stroke = null;
    crosshair.release();
    tool.cancel();
    if (size) drawMarks();
    return begun;
  }

  /** Where the pointer is, for tools that answer to that. */
  function tellTool(place) {
    if (size && tool.hover) tool.hover(place, size);
  }

  const crosshair = createCrosshair({
    look() {
      const here = room();
      return {
        photo: size,
        scale: projection(view, here).scale,
        middle: {x: view.x * size.width, y: view.y * size.height},
        sees: (place) => isInside(toSpot(view, here, place), here),
      };
    },
    begin: beginStroke, move: (place) => moveStroke(place, true), end: endStroke,
    onMove(place) {
      if (place) tellTool(place);
      look(place ? revealing(view, room(), place, MARGIN_PX) : view);
    },
  });

  createGestures(marks, {
    isReady: () => Boolean(size),
    isZoomed: () => view !== FIT,
    begin(spot, second) {
      crosshair.hide();
      beginStroke(toPlace(view, room(), spot), second);
    },
    move: (spot, moved) => moveStroke(toPlace(view, room(), spot), moved),
    end: endStroke,
    cancel: cancelStroke,
    zoom: (factor, spot) => look(zoomed(view, room(), factor, spot)),
    grip() { gripped = view; },
    pull: (factor, from, to) => look(pulled(gripped, room(), factor, from, to)),
    pan: (dx, dy) => look(panned(view, room(), dx, dy)),
    hover(spot) {
      if (spot !== null) crosshair.hide();
      if (spot !== undefined) tellTool(spot && toPlace(view, room(), spot));
    },
  });
  marks.addEventListener('focus', () => { if (size && marks.matches(':focus-visible')) crosshair.show(); });
  marks.addEventListener('blur', () => { cancelStroke(); crosshair.hide(); });
  const observer = new ResizeObserver(() => {
    if (size && marks.clientWidth) look(kept(view, room()));
  });
  observer.observe(area);
  observer.observe(frame);

  return {
    get size() { return size; },
    get photo() { return photo; },
    crosshair,
    /** The long side that a mask needs here, so that its outline is about one CSS pixel wide. */
    get maskSide() {
      const density = Math.min(window.devicePixelRatio || 1, 1.5);
      return Math.min(MASK_SIDE, Math.ceil(Math.max(frame.clientWidth, frame.clientHeight) * density * view.zoom));
    },
    /** Shows a photo: anything that drawImage takes, and the photo's own size. */
    show(picture, width, height) {
      size = {width, height};
      const [w, h] = fitted(width, height, CANVAS_SIDE);
      photo.width = w;
      photo.height = h;
      const context = photo.getContext('2d');
      context.imageSmoothingQuality = 'high';
      context.fillStyle = '#fff';
      context.fillRect(0, 0, w, h);
      context.drawImage(picture, 0, 0, w, h);
      pictures = [photo, picture].filter((one) => one.width >= w);
      frame.style.setProperty('--ratio', width / height);
      const scale = Math.max(SCALE_MOST, SIDE_LEAST_PX / Math.max(width, height));
      frame.style.setProperty('--widest', width * scale + 'px');
      frame.style.aspectRatio = width + ' / ' + height;
      clearCanvas(mask);
      closeup.setMask(null);
      stroke = null;
      crosshair.reset();
      look(FIT);
    },
    /** Ends a drag without a box; whether there was one. */
    cancelDrag: cancelStroke,
    /** Puts another tool in hand. */
    setTool(next) {
      if (next === tool) return;
      cancelStroke();
      tool = next;
      draw();
    },
    redraw: draw,
    setActions(next) { actions = next; draw(); },
    showMask(rle) {
      paintMask(mask, rle);
      closeup.setMask(rle);
      draw();
    },
    clearMask() {
      clearCanvas(mask);
      closeup.setMask(null);
      draw();
    },
    fit() { if (size) look(FIT); },
    /** Zooms towards the crosshair, or towards the middle. */
    zoomBy(factor) {
      if (!size) return;
      const here = room(), {place} = crosshair;
      look(zoomed(view, here, factor, place ? toSpot(view, here, place) : {x: here.width / 2, y: here.height / 2}));
    },
  };
}
