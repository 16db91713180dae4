// The brush: strokes that add to the mask or take away from it. The page shows them at once, over the
// newest mask it has; the server applies them at the photo's own resolution (paint.py).
//
// A painted stroke: {path: [[x, y], ...], radius, label}, in pixels of the photo, as the history has it.

const BRUSH_PX = {least: 4, most: 160, start: 36};      // across, on the screen: closer paints finer
const BRUSH_STEP = 1.25;        // of the keys
const RADIUS_MOST = 4096;
const PATH_SLACK_PX = 0.5;      // on the screen, so nobody sees it
const MASK_TINT = 'rgba(30,138,255,.42)';               // MASK_FILL, for strokes

/** The fewest of a path's points that stay within a tolerance of it (Ramer, Douglas and Peucker). */
function simplified(path, tolerance) {
  const keep = new Set([0, path.length - 1]), open = [[0, path.length - 1]];
  while (open.length) {
    const [first, last] = open.pop(), [x0, y0] = path[first], [x1, y1] = path[last];
    const dx = x1 - x0, dy = y1 - y0, square = dx * dx + dy * dy;
    let farthest = -1, most = tolerance;
    for (let k = first + 1; k < last; k++) {
      const [x, y] = path[k];
      const t = square ? clamp(((x - x0) * dx + (y - y0) * dy) / square, 0, 1) : 0;
      const distance = Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
      if (distance > most) { most = distance; farthest = k; }
    }
    if (farthest < 0) continue;
    keep.add(farthest);
    open.push([first, farthest], [farthest, last]);
  }
  return path.filter((_, k) => keep.has(k));
}

/** Paints strokes into a layer that holds nothing but the mask; its unit is a pixel of the photo. */
function paintStrokes(context, strokes) {
  context.save();
  context.lineCap = context.lineJoin = 'round';
  for (const {path, radius, label} of strokes) {
    context.beginPath();
    context.moveTo(path[0][0] - 0.01, path[0][1]);      // or a dab, a line of no length, is not drawn
    for (const [x, y] of path) context.lineTo(x, y);
    context.lineWidth = 2 * radius;
    // Emptied first: what is in the mask already must not become darker.
    context.globalCompositeOperation = 'destination-out';
    context.strokeStyle = '#000';
    context.stroke();
    if (!label) continue;
    context.globalCompositeOperation = 'source-over';
    context.strokeStyle = MASK_TINT;
    context.stroke();
  }
  context.restore();
}

/** The strokes of a history that a mask does not have yet, given the history which it answers. */
function strokesSince(answered, actions) {
  const differs = actions.findIndex((action, k) => action !== answered[k]);   // after an undo, further back
  const begun = differs < 0 ? [] : actions.slice(differs);
  const fresh = begun.findLastIndex((action) => action.type === 'box' || action.type === 'mask') + 1;
  return begun.slice(fresh).filter((action) => action.type === 'paint');
}

/**
 * The brush and its size. The tool is one of tools.js.
 *   removes(): whether it erases even without the right button
 *   limits: {max_steps, max_path} of a history
 *   onDraw(): the stroke that is being drawn has changed
 *   onSize(): the size has changed
 *   onError(text)
 */
function createBrush(part, {history, limits, removes, onDraw, onSize, onError}) {
  const {brush: slider} = part;
  let across = BRUSH_PX.start, path = null, radius = 0, label = 1, asked = 0;

  // The slider moves in even steps of ratio: small brushes need finer ones.
  const share = () => Math.log(across / BRUSH_PX.least) / Math.log(BRUSH_PX.most / BRUSH_PX.least);
  function resize(next) {
    across = clamp(next, BRUSH_PX.least, BRUSH_PX.most);
    slider.value = Math.round(100 * share());
    const text = Math.round(across) + ' px';
    part['brush-size'].textContent = text;
    slider.setAttribute('aria-valuetext', text);
    onSize();
  }
  slider.addEventListener('input', () => {
    resize(BRUSH_PX.least * (BRUSH_PX.most / BRUSH_PX.least) ** (slider.value / 100));
  });

  /** Shows the stroke with the next picture of the screen, however many samples came before it. */
  function drawSoon() {
    if (asked) return;
    asked = requestAnimationFrame(() => {
      asked = 0;
      if (path) onDraw();
    });
  }

  function cancel() {
    if (!path) return;
    path = null;
    onDraw();
  }

  /** The stroke becomes a step of the history, if there is room for it. */
  function enter(stroke) {
    const used = history.actions.reduce((sum, action) => sum + (action.path || []).length, stroke.path.length);
    if (history.actions.length < limits.max_steps && used <= limits.max_path) return history.push(stroke);
    onDraw();
    onError('There are too many strokes of the brush; undo some, or clear and start again.');
  }

  const tool = {
    begin({from, second, scale}) {
      path = [[from.x, from.y]];
      radius = clamp(across / 2 / scale, 0.1, RADIUS_MOST);
      label = second || removes() ? 0 : 1;
      onDraw();
    },
    move({to}) {
      const [x, y] = path[path.length - 1];
      if (to.x === x && to.y === y) return;
      path.push([to.x, to.y]);
      drawSoon();
    },
    end({moved, scale}) {
      const drawn = moved ? simplified(path, PATH_SLACK_PX / scale) : path.slice(0, 1);
      path = null;
      const tenth = (value) => Math.round(10 * value) / 10;
      enter({type: 'paint', path: drawn.map((place) => place.map(tenth)), radius: tenth(radius), label});
    },
    cancel,
    draw() {},                  // the stroke is in the mask's own layer
    cursor(context, {x, y}, scale) {
      context.beginPath();
      context.arc(x, y, path ? radius * scale : across / 2, 0, 7);
      strokeTwice(context, (path ? label === 0 : removes()) ? '#fecaca' : '#fff', 1.5);
    },
  };
  return {
    tool,
    /** The stroke that is being drawn, or null. */
    get stroke() { return path && {path, radius, label}; },
    show() { resize(across); },
    smaller() { resize(across / BRUSH_STEP); },
    larger() { resize(across * BRUSH_STEP); },
  };
}
