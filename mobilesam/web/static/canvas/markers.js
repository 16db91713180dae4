// Markers on the photo, drawn in CSS pixels: they have the same size at every zoom.
import {boxIndex, handlesOf} from '../core/markers.js';

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

/** @type {(context: Context, screenPoint: Point, isHovered: boolean) => void} */
function drawHandle(context, {x, y}, isHovered) {
  const half = isHovered ? 6 : 4;
  context.beginPath();
  context.rect(x - half, y - half, 2 * half, 2 * half);
  context.fillStyle = '#fff';
  context.fill();
  strokeWithRim(context, BOX, 2);
}

/** Draws the points and the box; `hovered` is the marker that a press would take hold of, undefined where none can be held.
 * @type {(context: Context, interactions: Interaction[], toScreen: (imagePoint: Point) => Point, scale: number,
 *   hovered: Marker | null | undefined) => void} */
export function drawMarkers(context, interactions, toScreen, scale, hovered) {
  const last = boxIndex(interactions), item = interactions[last];
  if (item?.type === 'box') {
    drawBox(context, item.box, toScreen, false);
    for (const handle of hovered === undefined ? [] : handlesOf(item.box, scale)) {
      drawHandle(context, toScreen(handle), hovered?.index === last && String(hovered.sides) === String(handle.sides));
    }
  }
  interactions.forEach((one, index) => {
    if (one.type === 'point') drawPoint(context, toScreen({x: one.x + 0.5, y: one.y + 0.5}), one.label, hovered?.index === index);
  });
}

/** A point that the pointer is on shows a cross: a click removes it.
 * @type {(context: Context, screenPoint: Point, label: number, isHovered?: boolean) => void} */
export function drawPoint(context, {x, y}, label, isHovered = false) {
  context.beginPath();
  context.arc(x, y, isHovered ? 10 : 8, 0, 7);
  context.fillStyle = label ? POSITIVE : NEGATIVE;
  context.shadowColor = 'rgba(0,0,0,.45)';
  context.shadowBlur = 4;
  context.fill();
  context.shadowBlur = 0;
  context.lineWidth = 2;
  context.strokeStyle = '#fff';
  context.stroke();
  const lines = isHovered ? [[3, 3], [3, -3]] : label ? [[3.5, 0], [0, 3.5]] : [[3.5, 0]];
  context.beginPath();
  for (const [dx, dy] of lines) {
    context.moveTo(x - dx, y - dy);
    context.lineTo(x + dx, y + dy);
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
