// @ts-check
// Markers over the photo. They are drawn in CSS pixels, so that they look alike at every zoom.
/** @import {Point} from '../core/types.js' */

const POSITIVE = '#16a34a', NEGATIVE = '#dc2626', BOX = '#f59e0b';
const SHADE = 'rgba(0,0,0,.55)';

/** Strokes the current path with a dark rim, visible on any background.
 * @type {(context: CanvasRenderingContext2D, colour: string, width: number) => void} */
export function strokeWithRim(context, colour, width) {
  for (const [style, lineWidth] of /** @type {[string, number][]} */ ([[SHADE, width + 2], [colour, width]])) {
    context.strokeStyle = style;
    context.lineWidth = lineWidth;
    context.stroke();
  }
}

/** @type {(context: CanvasRenderingContext2D, from: Point, to: Point, isDashed: boolean) => void} */
export function drawBox(context, from, to, isDashed) {
  context.setLineDash(isDashed ? [6, 4] : []);
  context.beginPath();
  context.rect(from.x, from.y, to.x - from.x, to.y - from.y);
  strokeWithRim(context, BOX, 2);
  context.setLineDash([]);
}

/** @type {(context: CanvasRenderingContext2D, screenPoint: Point, label: number) => void} */
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

/** The crosshair of the arrow keys; the middle stays free, so that the pixel there can be seen.
 * @type {(context: CanvasRenderingContext2D, screenPoint: Point) => void} */
export function drawCrosshair(context, {x, y}) {
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + 5 * dx, y + 5 * dy);
    context.lineTo(x + 20 * dx, y + 20 * dy);
  }
  strokeWithRim(context, '#fff', 2);
}
