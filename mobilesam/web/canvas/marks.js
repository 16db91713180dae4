// Markers over the photo. They are drawn in CSS pixels, so that they look alike at every zoom.

const PLUS = '#16a34a', MINUS = '#dc2626', BOX = '#f59e0b';
const SHADE = 'rgba(0,0,0,.55)';

/** Makes a canvas as sharp as the screen, empties it, and gives a context that draws in CSS pixels. */
function freshContext(canvas, width, height) {
  const density = window.devicePixelRatio || 1;
  const w = Math.round(width * density), h = Math.round(height * density);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext('2d');
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Strokes the current path so that it shows on any ground. */
function strokeTwice(context, colour, width) {
  for (const [style, line] of [[SHADE, width + 2], [colour, width]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.stroke();
  }
}

/** A box between two spots. */
function drawBox(context, from, to, dashed) {
  context.setLineDash(dashed ? [6, 4] : []);
  context.beginPath();
  context.rect(from.x, from.y, to.x - from.x, to.y - from.y);
  strokeTwice(context, BOX, 2);
  context.setLineDash([]);
}

function drawPoint(context, {x, y}, label) {
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

/** The crosshair of the arrow keys; its middle stays free, to see what is there. */
function drawCrosshair(context, {x, y}) {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 5 * dx, y + 5 * dy);
    context.lineTo(x + 20 * dx, y + 20 * dy);
  }
  strokeTwice(context, '#fff', 2);
}
