// Markers on the photo, drawn in CSS pixels: they have the same size at every zoom.

const POSITIVE = '#16a34a', NEGATIVE = '#dc2626', BOX = '#f59e0b', CHECK = '#1257cc';

/** Strokes the current path with a dark rim, visible on any background.
 * @type {(context: Context, colour: string, width: number) => void} */
export function strokeWithRim(context, colour, width) {
  context.strokeStyle = 'rgba(0,0,0,.55)';
  context.lineWidth = width + 2;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

/** @type {(context: Context, box: Box, toScreen: (imagePoint: Point) => Point, isDashed: boolean) => void} */
export function drawBox(context, [x0, y0, x1, y1], toScreen, isDashed) {
  const from = toScreen({x: x0, y: y0}), to = toScreen({x: x1, y: y1});
  context.setLineDash(isDashed ? [6, 4] : []);
  context.beginPath();
  context.rect(from.x, from.y, to.x - from.x, to.y - from.y);
  strokeWithRim(context, BOX, 2);
  context.setLineDash([]);
}

/** @type {(context: Context, screenPoint: Point, label: number) => void} */
export function drawPoint(context, {x, y}, label) {
  context.beginPath();
  context.arc(x, y, 8, 0, 7);
  context.fillStyle = label ? POSITIVE : NEGATIVE;
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

/** A check mark on a disc. @type {(context: Context, screenPoint: Point) => void} */
export function drawCheck(context, {x, y}) {
  context.beginPath();
  context.arc(x, y, 10, 0, 7);
  context.fillStyle = CHECK;
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = '#fff';
  context.stroke();
  context.beginPath();
  context.moveTo(x - 4.5, y + 0.5);
  context.lineTo(x - 1.5, y + 3.5);
  context.lineTo(x + 4.5, y - 3.5);
  context.stroke();
}

/** Leaves the middle free, so that the pixel there can be seen. */
export function drawCrosshair(/** @type {Context} */ context, /** @type {Point} */ {x, y}) {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 5 * dx, y + 5 * dy);
    context.lineTo(x + 20 * dx, y + 20 * dy);
  }
  strokeWithRim(context, '#fff', 2);
}
