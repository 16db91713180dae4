// The photo with its mask and markers, and the gestures on it.

const CANVAS_SIDE = 2048;       // a larger canvas costs time and shows no more
const MASK_SIDE = 1024;         // the model knows no more than that
const SCALE_MOST = 4;           // a tiny photo blown up further is a blur,
const SIDE_LEAST_PX = 400;      // but it must be large enough to click into
const BOX_MIN_PX = 4;           // a thinner box is a click with a shaky hand
const CLICK_SLOP_PX = {mouse: 4, pen: 6, touch: 12};
const PLUS = '#16a34a', MINUS = '#dc2626', BOX = '#f59e0b';

/** Width and height scaled down to a long side. */
function fitted(width, height, side) {
  const scale = Math.min(1, side / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

function createStage(part, {onPoint, onBox, onResize, removes}) {
  const {frame, photo, mask, marks} = part;
  let size = null;              // {width, height} of the upright photo, in its own pixels
  let drag = null, actions = [];

  const clamp = (value, top) => Math.min(Math.max(value, 0), top);

  /** Where an event lies, in pixels of the photo and within it. */
  function place(event) {
    const box = marks.getBoundingClientRect();
    return {
      x: clamp((event.clientX - box.left) / box.width, 1) * size.width,
      y: clamp((event.clientY - box.top) / box.height, 1) * size.height,
    };
  }

  function pointAt({x, y}) {
    return {x: clamp(Math.floor(x), size.width - 1), y: clamp(Math.floor(y), size.height - 1)};
  }

  function boxOf(a, b) {
    return [
      Math.floor(Math.min(a.x, b.x)), Math.floor(Math.min(a.y, b.y)),
      Math.ceil(Math.max(a.x, b.x)), Math.ceil(Math.max(a.y, b.y)),
    ];
  }

  // Markers are drawn in CSS pixels, so that they look alike on every photo and screen.
  function drawMarks() {
    const box = marks.getBoundingClientRect();
    if (!size || !box.width) return;
    const density = window.devicePixelRatio || 1;
    const width = Math.round(box.width * density), height = Math.round(box.height * density);
    if (marks.width !== width || marks.height !== height) {
      marks.width = width;
      marks.height = height;
    }
    const context = marks.getContext('2d');
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, box.width, box.height);
    const kx = box.width / size.width, ky = box.height / size.height;
    const boxes = actions.filter((action) => action.type === 'box');
    if (boxes.length) drawBox(context, boxes[boxes.length - 1].box, kx, ky, false);
    if (drag && drag.moved) drawBox(context, boxOf(drag.from, drag.to), kx, ky, true);
    for (const action of actions) {
      if (action.type === 'point') drawPoint(context, (action.x + 0.5) * kx, (action.y + 0.5) * ky, action.label);
    }
  }

  function cancelDrag() {
    const dragging = Boolean(drag && drag.moved);
    drag = null;
    drawMarks();
    return dragging;
  }

  function drawBox(context, [x0, y0, x1, y1], kx, ky, dashed) {
    context.setLineDash(dashed ? [6, 4] : []);
    for (const [colour, line] of [['rgba(0,0,0,.55)', 4], [BOX, 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.strokeRect(x0 * kx, y0 * ky, (x1 - x0) * kx, (y1 - y0) * ky);
    }
    context.setLineDash([]);
  }

  function drawPoint(context, x, y, label) {
    context.beginPath();
    context.arc(x, y, 8, 0, 7);
    context.fillStyle = label ? PLUS : MINUS;
    context.shadowColor = 'rgba(0,0,0,.45)';
    context.shadowBlur = 4;
    context.fill();
    context.shadowBlur = 0;
    context.lineWidth = 2;
    context.strokeStyle = '#fff';
    context.stroke();
    context.beginPath();
    context.moveTo(x - 3.5, y);
    context.lineTo(x + 3.5, y);
    if (label) {
      context.moveTo(x, y - 3.5);
      context.lineTo(x, y + 3.5);
    }
    context.stroke();
  }

  marks.addEventListener('contextmenu', (event) => event.preventDefault());
  marks.addEventListener('pointerdown', (event) => {
    if (!size) return;
    if (!event.isPrimary) return cancelDrag();   // a second finger: not a box
    if (event.button !== 0 && event.button !== 2) return;
    event.preventDefault();
    marks.setPointerCapture(event.pointerId);
    const negative = event.button === 2 || event.shiftKey || event.altKey || removes();
    const at = place(event);
    drag = {id: event.pointerId, from: at, to: at, x: event.clientX, y: event.clientY, moved: false, negative};
  });
  marks.addEventListener('pointermove', (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    drag.to = place(event);
    const slop = CLICK_SLOP_PX[event.pointerType] || CLICK_SLOP_PX.mouse;
    if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > slop) drag.moved = true;
    if (drag.moved) drawMarks();
  });
  marks.addEventListener('pointercancel', cancelDrag);
  marks.addEventListener('pointerup', (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    const {from, moved, negative, x, y} = drag, to = place(event);
    cancelDrag();
    if (!moved) {
      onPoint({...pointAt(from), label: negative ? 0 : 1});
      return;
    }
    const thin = Math.min(Math.abs(event.clientX - x), Math.abs(event.clientY - y)) < BOX_MIN_PX;
    const box = boxOf(from, to);
    if (!negative && !thin && box[0] < box[2] && box[1] < box[3]) onBox(box);
  });
  new ResizeObserver(() => { drawMarks(); onResize(); }).observe(frame);

  return {
    get size() { return size; },
    get photo() { return photo; },
    /** The long side that a mask needs here, so that its outline is about one CSS pixel wide. */
    get maskSide() {
      const density = Math.min(window.devicePixelRatio || 1, 1.5);
      return Math.min(MASK_SIDE, Math.ceil(Math.max(marks.clientWidth, marks.clientHeight) * density));
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
      frame.style.setProperty('--ratio', width / height);
      const scale = Math.max(SCALE_MOST, SIDE_LEAST_PX / Math.max(width, height));
      frame.style.setProperty('--widest', width * scale + 'px');
      frame.style.aspectRatio = width + ' / ' + height;
      clearCanvas(mask);
      drawMarks();
    },
    /** Ends a drag without a box; whether there was one. */
    cancelDrag,
    setActions(next) { actions = next; drawMarks(); },
    showMask(rle) { paintMask(mask, rle); },
    clearMask() { clearCanvas(mask); },
  };
}
