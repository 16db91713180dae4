import {boxBetween, pixelAt} from '../core/geometry.js';
import {REACH_PX, cursorOf, markerAt, withMoved, withoutMarker} from '../core/markers.js';
import {quoted} from '../core/names.js';
import {drawBox} from './markers.js';

const MIN_BOX_PX = 4;           // on the screen; a thinner box is a click with an unsteady hand
const DOUBLE_CLICK_MS = 400;    // the second click of a double click does nothing

/** Creates the tool for prompts: a click is a point, a drag is a box; markers can be dragged, and points clicked away.
 * `isRemoving` tells whether clicks are negative without the right button too, and `objectAt` which other object a positive
 * click would select. While a box is drawn `onDraw` gets it, and null at the end, after `onBox`. While a marker is dragged `onDrag` gets the interactions with it where it is, `onReplace` when it is dropped.
 * @param {{interactions: () => Interaction[], isRemoving: () => boolean, objectAt: (imagePoint: Point) => PhotoObject | null,
 *   onDraw: (box: Box | null) => void, onPoint: (point: Point & {label: number}) => void, onBox: (box: Box) => void, onSelect: (object: PhotoObject) => void,
 *   onDrag: (interactions: Interaction[]) => void, onReplace: (interactions: Interaction[]) => void,
 *   onHover: (imagePoint: Point | null) => void}} options
 * @returns {Tool & {marker: Marker | null}} */
export function createPromptTool({
  interactions, isRemoving, objectAt, onDraw, onPoint, onBox, onSelect, onDrag, onReplace, onHover,
}) {
  let held = /** @type {{marker: Marker, interactions: Interaction[], moved: Interaction[]} | null} */ (null);
  let hovered = /** @type {{marker: Marker | null, interactions: Interaction[]}} */ ({marker: null, interactions: []});
  let last = {at: {x: 0, y: 0}, label: 0, time: 0, after: /** @type {Interaction[] | null} */ (null)};     // the last click

  /** Whether a click is the second one of a double click. @type {(at: Point, label: number, reach: number) => boolean} */
  const isRepeated = (at, label, reach) => label === last.label && last.after === interactions()
    && Date.now() - last.time < DOUBLE_CLICK_MS && Math.hypot(at.x - last.at.x, at.y - last.at.y) <= reach;

  /** Moves the marker that is held, unless the interactions have changed meanwhile. @param {Gesture} gesture */
  function drag({from, to, photo}) {
    if (held?.interactions !== interactions()) return;
    const {marker, moved} = held, next = withMoved(held.interactions, marker, {x: to.x - from.x, y: to.y - from.y}, photo);
    if (JSON.stringify(next[marker.index]) === JSON.stringify(moved[marker.index])) return;
    held.moved = next;
    onDrag(next);
  }

  /** The box that a drag draws; null where it draws none. @param {Gesture} gesture */
  function drawnBox({from, to, isNegative, scale}) {
    const isThin = Math.min(Math.abs(to.x - from.x), Math.abs(to.y - from.y)) * scale < MIN_BOX_PX;
    return isNegative || isRemoving() || isThin ? null : boxBetween(from, to);
  }

  /** Puts the marker down where it is; not `isKept`: where it was. @param {boolean} isKept */
  function drop(isKept) {
    const before = held?.interactions, moved = held?.moved;
    held = null;
    if (!moved || moved === before || before !== interactions()) return;
    if (isKept) onReplace(moved);
    else onDrag(before);
  }

  function click(/** @type {Gesture} */ {from, isNegative, photo, scale, reach}) {
    const label = isNegative || isRemoving() ? 0 : 1, marker = held?.marker;
    held = null;
    if (isRepeated(from, label, reach / scale)) return;
    const object = label ? objectAt(from) : null;
    if (marker && !marker.sides) onReplace(withoutMarker(interactions(), marker));
    else if (object) onSelect(object);
    else onPoint({...pixelAt(from, photo), label});
    last = {at: from, label, time: Date.now(), after: interactions()};
  }

  return {
    begin({from, scale, reach}) {
      const marker = reach ? markerAt(interactions(), from, reach, scale) : null;
      held = marker && {marker, interactions: interactions(), moved: interactions()};
    },
    move(gesture) {
      if (!gesture.moved) return;
      if (held) drag(gesture);
      else onDraw(drawnBox(gesture));
    },
    end(gesture) {
      if (!gesture.moved) return click(gesture);
      if (held) return drop(true);
      const box = drawnBox(gesture);
      if (box) onBox(box);
      onDraw(null);
    },
    cancel() {
      onDraw(null);
      drop(false);
    },
    draw(context, toScreen, gesture) {
      if (gesture?.moved && !held) drawBox(context, boxBetween(gesture.from, gesture.to), toScreen, true);
    },
    hover(at, photo, scale) {
      onHover(at);
      // A point that was just clicked does not change under the pointer.
      const isIdle = !at || isRepeated(at, last.label, REACH_PX.mouse / scale);
      const marker = isIdle ? null : markerAt(interactions(), at, REACH_PX.mouse, scale);
      hovered = {marker, interactions: interactions()};
      if (isIdle) return null;
      if (marker) return {cursor: cursorOf(marker), title: marker.sides ? 'Drag to change the box' : 'Drag to move, click to remove'};
      const object = isRemoving() ? null : objectAt(at);
      return object && {cursor: 'pointer', title: 'Edit ' + quoted(object.name)};
    },
    /** The one that is dragged, or that a press would take hold of. */
    get marker() { return held?.marker ?? (hovered.interactions === interactions() ? hovered.marker : null); },
  };
}
