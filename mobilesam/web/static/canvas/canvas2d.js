export function contextOf(/** @type {HTMLCanvasElement} */ canvas) {
  const context = canvas.getContext('2d');
  if (!context) throw new Error('The browser is out of memory for canvases.');
  return context;
}

/** @type {(width: number, height: number) => HTMLCanvasElement} */
export const createCanvas = (width, height) => Object.assign(document.createElement('canvas'), {width, height});

/** Sets the size in the canvas's own pixels; assigning the same size again would clear it.
 * @type {(canvas: HTMLCanvasElement, width: number, height: number) => void} */
export function resize(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

export function clearCanvas(/** @type {HTMLCanvasElement} */ canvas) {
  contextOf(canvas).clearRect(0, 0, canvas.width, canvas.height);
}

/** Clears a canvas, gives it the resolution of the screen, and returns a context that draws in CSS pixels.
 * @type {(canvas: HTMLCanvasElement, width: number, height: number) => CanvasRenderingContext2D} */
export function freshContext(canvas, width, height) {
  const density = window.devicePixelRatio || 1;
  resize(canvas, Math.round(width * density), Math.round(height * density));
  const context = contextOf(canvas);
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Sets the size of a canvas and its pixels, row by row as 0xAABBGGRR.
 * @type {(canvas: HTMLCanvasElement, size: [height: number, width: number], pixels: Uint32Array<ArrayBuffer>) => void} */
export function paintPixels(canvas, [height, width], pixels) {
  resize(canvas, width, height);
  contextOf(canvas).putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height), 0, 0);
}
