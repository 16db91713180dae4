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

/** Shows a photo; `tool` is told of the strokes on it at first (tools.js), onView of a change of what is seen. */
function createStage(part, {tool, onView}) {
  const {stage: area, frame, photo, mask, marks} = part;
  const closeup = createCloseup(part.closeup), layer = createLayer(part.layer);
  let size = null;              // {width, height} of the upright photo, in its own pixels
  let pictures = [];            // the photo to draw from, the smallest first
  let view = FIT, gripped = FIT, stroke = null, begunInside = false, actions = [];
  let pointer = null;           // the spot that the mouse is over
  const answer = document.createElement('canvas');      // the mask as the server gave it,
  let answered = false, strokes = [];                   // and the strokes of the brush since then

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
    if (view !== FIT) closeup.draw(view, here, pictures, layer, strokes);
    else layer.drawFit(frame.clientWidth, frame.clientHeight, size);
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
    const at = stroke ? spot(stroke.to) : crosshair.place ? spot(crosshair.place) : pointer;
    if (at) tool.cursor(context, at, projection(view, here).scale);
    if (crosshair.place) drawCrosshair(context, spot(crosshair.place));
  }

  /** The mask's layer at fit: the newest mask, and what has been painted on it since. */
  function drawMask() {
    if (!answered && !strokes.length) return clearCanvas(mask);
    const [width, height] = answered ? [answer.width, answer.height] : fitted(size.width, size.height, MASK_SIDE);
    if (mask.width !== width || mask.height !== height) {
      mask.width = width;
      mask.height = height;
    }
    const context = mask.getContext('2d');
    context.clearRect(0, 0, width, height);
    if (answered) context.drawImage(answer, 0, 0);
    context.save();
    context.scale(width / size.width, height / size.height);
    paintStrokes(context, strokes);
    context.restore();
  }

  /** Takes up another mask, or null for none, and the strokes that are painted on it. */
  function setMask(rle, next) {
    answered = Boolean(rle);
    strokes = next;
    if (rle) paintMask(answer, rle);
    closeup.setMask(rle);
    drawMask();
    draw();
  }

  function hover(spot) {
    const shows = pointer || spot;
    pointer = spot;
    crosshair.hide();
    if (size && shows) drawMarks();
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

  function moveStroke(places, moved) {
    if (!stroke) return;
    const {scale} = projection(view, room());
    for (const place of places) {
      stroke = {...stroke, to: placeInside(place, size), moved, scale};
      tool.move(stroke);
    }
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
    begin: beginStroke, move: (place) => moveStroke([place], true), end: endStroke,
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
    move(spots, moved) {
      if (pointer) pointer = spots[spots.length - 1];
      const here = room();
      moveStroke(spots.map((spot) => toPlace(view, here, spot)), moved);
    },
    end: endStroke,
    cancel: cancelStroke,
    zoom: (factor, spot) => look(zoomed(view, room(), factor, spot)),
    grip() { gripped = view; },
    pull: (factor, from, to) => look(pulled(gripped, room(), factor, from, to)),
    pan: (dx, dy) => look(panned(view, room(), dx, dy)),
    hover(spot) {
      hover(spot);
      tellTool(spot && toPlace(view, room(), spot));
    },
    leave() {
      pointer = null;
      tellTool(null);
      if (size) drawMarks();
    },
  });
  marks.addEventListener('focus', () => { if (size && marks.matches(':focus-visible')) crosshair.show(); });
  marks.addEventListener('blur', () => { cancelStroke(); crosshair.hide(); });
  const observer = new ResizeObserver(() => {
    if (size && marks.clientWidth) look(kept(view, room()));
  });
  observer.observe(area);
  observer.observe(frame);

  /** Gives the stage the shape of a photo, which may still be on its way. */
  function reserve(width, height) {
    frame.style.setProperty('--ratio', width / height);
    const scale = Math.max(SCALE_MOST, SIDE_LEAST_PX / Math.max(width, height));
    frame.style.setProperty('--widest', width * scale + 'px');
    frame.style.aspectRatio = width + ' / ' + height;
  }

  return {
    reserve,
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
      reserve(width, height);
      cancelStroke();
      setMask(null, []);
      crosshair.reset();
      look(FIT);
    },
    /** Ends a drag without a box; whether there was one. */
    cancelDrag: cancelStroke,
    setActions(next) { actions = next; draw(); },
    /** Objects to show beneath the mask, see `createLayer`. */
    setObjects(items, keep) { layer.set(items, keep); draw(); },
    /** The place of the photo at a spot of the canvas. */
    placeAt: (spot) => toPlace(view, room(), spot),
    /** Shows a mask, or none, under strokes of the brush that it does not have yet. */
    showMask(rle, painted) { if (size) setMask(rle, painted); },
    /** Shows other strokes on the same mask. */
    showStrokes(painted) {
      if (!size || !(strokes.length || painted.length)) return;
      strokes = painted;
      drawMask();
      draw();
    },
    /** Another tool takes the strokes from now on. */
    setTool(next) {
      if (next === tool) return;
      cancelStroke();
      tool = next;
      if (size) drawMarks();
    },
    redrawMarks() { if (size) drawMarks(); },
    fit() { if (size) look(FIT); },
    /** Zooms towards the crosshair, or towards the middle. */
    zoomBy(factor) {
      if (!size) return;
      const here = room(), {place} = crosshair;
      look(zoomed(view, here, factor, place ? toSpot(view, here, place) : {x: here.width / 2, y: here.height / 2}));
    },
  };
}
