// @ts-check
/** @import {Box, Gesture, PointInteraction, Tool} from '../core/types.js' */
import {boxBetween, pixelAt} from '../core/geometry.js';
import {drawBox} from './markers.js';

const MIN_BOX_PX = 4;           // on the screen; a thinner box is a click with an unsteady hand

/**
 * The tool for prompts: a click is a point, a drag is a box.
 * @param {object} options
 * @param {(point: Pick<PointInteraction, 'x' | 'y' | 'label'>) => void} options.onPoint
 * @param {(box: Box) => void} options.onBox
 * @param {() => boolean} options.isRemoving whether a click is negative even without the right button
 * @returns {Tool}
 */
export function createPromptTool({onPoint, onBox, isRemoving}) {
  /** @type {Gesture | null} */
  let current = null;
  let isNegative = false;
  return {
    begin(gesture) {
      current = gesture;
      isNegative = gesture.isNegative || isRemoving();
    },
    move(gesture) { current = gesture; },
    end({from, to, moved, photo, scale}) {
      current = null;
      if (!moved) return onPoint({...pixelAt(from, photo), label: isNegative ? 0 : 1});
      const isThin = Math.min(Math.abs(to.x - from.x), Math.abs(to.y - from.y)) * scale < MIN_BOX_PX;
      if (!isNegative && !isThin) onBox(boxBetween(from, to));
    },
    cancel() { current = null; },
    draw(context, toScreen) {
      if (!current?.moved) return;
      const [x0, y0, x1, y1] = boxBetween(current.from, current.to);
      drawBox(context, toScreen({x: x0, y: y0}), toScreen({x: x1, y: y1}), true);
    },
    cursor() {},
  };
}
