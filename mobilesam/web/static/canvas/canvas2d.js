// @ts-check

/** @type {(canvas: HTMLCanvasElement) => CanvasRenderingContext2D} */
export function contextOf(canvas) {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('The browser is out of memory for canvases.');
  return context;
}

/** @type {(width: number, height: number) => HTMLCanvasElement} */
export function createCanvas(width, height) {
  const canvas = document.createElement('canvas');
  resize(canvas, width, height);
  return canvas;
}

/** Sets a canvas's size in its own pixels; setting the same size again would clear it.
 * @type {(canvas: HTMLCanvasElement, width: number, height: number) => void} */
export function resize(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** Clears a canvas, makes it as sharp as the screen, and returns a context that draws in CSS pixels.
 * @type {(canvas: HTMLCanvasElement, width: number, height: number) => CanvasRenderingContext2D} */
export function freshContext(canvas, width, height) {
  const density = window.devicePixelRatio || 1;
  resize(canvas, Math.round(width * density), Math.round(height * density));
  const context = contextOf(canvas);
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** @type {(canvas: HTMLCanvasElement) => void} */
export function clearCanvas(canvas) {
  contextOf(canvas).clearRect(0, 0, canvas.width, canvas.height);
}
