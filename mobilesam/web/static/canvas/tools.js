import {boxBetween, pixelAt} from '../core/geometry.js';
import {drawBox} from './markers.js';

const MIN_BOX_PX = 4;           // on the screen; a thinner box is a click with an unsteady hand

/** Creates the tool for prompts: a click is a point, a drag is a box. `isRemoving` tells whether clicks are negative
 * without the right button too.
 * @type {(options: {onPoint: (point: Point & {label: number}) => void, onBox: (box: Box) => void,
 *   isRemoving: () => boolean}) => Tool} */
export function createPromptTool({onPoint, onBox, isRemoving}) {
  return {
    end({from, to, moved, isNegative, photo, scale}) {
      const label = isNegative || isRemoving() ? 0 : 1;
      if (!moved) return onPoint({...pixelAt(from, photo), label});
      const isThin = Math.min(Math.abs(to.x - from.x), Math.abs(to.y - from.y)) * scale < MIN_BOX_PX;
      if (label && !isThin) onBox(boxBetween(from, to));
    },
    draw(context, toScreen, gesture) {
      if (gesture?.moved) drawBox(context, boxBetween(gesture.from, gesture.to), toScreen, true);
    },
  };
}
