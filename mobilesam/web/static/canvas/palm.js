// A hand that rests on the screen while a pen is used.

const PEN_MS = 500;             // after a pen was on or above the element

/** Watches the pen on an element; call it before other listeners are added. Returns whether an event is that of a hand: a
 * touch while a pen is on or above the element, or has just been.
 * @type {(element: HTMLElement) => (event: PointerEvent) => boolean} */
export function createPalmFilter(element) {
  const down = /** @type {Set<number>} */ (new Set());          // pens
  let seenAt = -Infinity;

  /** @param {PointerEvent} event */
  function watch({type, pointerType, pointerId, timeStamp}) {
    if (pointerType !== 'pen') return;
    seenAt = timeStamp;
    if (type === 'pointerdown') down.add(pointerId);
    else if (type !== 'pointermove') down.delete(pointerId);
  }

  for (const type of /** @type {const} */ (['pointerdown', 'pointermove', 'pointerup', 'pointercancel', 'lostpointercapture'])) {
    element.addEventListener(type, watch);
  }
  return ({pointerType, timeStamp}) => pointerType === 'touch' && (down.size > 0 || timeStamp - seenAt < PEN_MS);
}
