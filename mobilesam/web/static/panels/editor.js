// @ts-check
// The object that is edited: the stage and its tools, the interactions, and the newest mask for them.
/** @import {Interaction, Reply, Tool} from '../core/types.js' */
/** @import {Page, ToolName} from './page.js' */
import {createBrush} from '../canvas/brush.js';
import {createStage} from '../canvas/stage.js';
import {createPromptTool} from '../canvas/tools.js';
import {isAnswerable, lastPrompt, strokesSince} from '../core/interactions.js';
import {createUndoStack} from '../core/undo_stack.js';

const ZOOM_STEP = 1.5;          // of a button or a key
const COARSE = 1.25;            // a mask that much smaller than it shows is asked for again

/**
 * @typedef {object} Handlers
 * @property {() => void} requestMask for the newest interactions
 * @property {() => boolean} leaveMasks back from the generated masks to clicks
 * @property {() => Tool} maskTool picks generated masks
 * @property {(reply: Reply | null) => void} onReply the mask on the stage has changed
 */
/** @param {Page} page @param {Handlers} handlers */
export function createEditor({refs, store, limits, fail, clearAlert}, {requestMask, leaveMasks, maskTool, onReply}) {
  /** @type {{interactions: Interaction[], act: () => void} | null} */
  let afterReply = null;
  const isRemoving = () => store.get().isRemoving;

  const undoStack = createUndoStack((interactions) => {
    leaveMasks();
    store.set({interactions, canUndo: undoStack.canUndo, canRedo: undoStack.canRedo});
    if (!isAnswerable(interactions)) showReply(null);
    requestMask();
  });

  const promptTool = createPromptTool({
    isRemoving,
    onPoint(point) {
      const count = undoStack.interactions.filter(({type}) => type === 'point').length;
      if (count >= limits.max_points) fail(`An object can have up to ${limits.max_points} points. Undo some first.`);
      else undoStack.push({type: 'point', ...point});
    },
    onBox: (box) => undoStack.push({type: 'box', box}),
  });
  const brush = createBrush({
    limits, isRemoving, interactions: () => undoStack.interactions, onStroke: undoStack.push, onError: fail,
    onDraw: () => stage.showStrokes(newStrokes()),
    onSize() { showBrushSize(); stage.redrawMarks(); },
  });
  const stage = createStage(refs, {
    tool: promptTool, displaySide: limits.display_side,
    onView(zoom) {
      store.set({zoom});
      const {reply, photo} = store.get();
      if (!reply || !photo) return;
      const side = Math.max(...reply.rle.size);
      if (stage.maskSide > COARSE * side && Math.max(photo.width, photo.height) > side) requestMask();
    },
  });
  const showBrushSize = () => store.set({brush: {px: brush.size, share: brush.share}});

  /** The strokes that the mask on the stage does not contain yet, and the one that is being drawn. */
  function newStrokes() {
    const {answered, interactions} = store.get();
    return [...strokesSince(answered, interactions), ...(brush.stroke ? [brush.stroke] : [])];
  }

  /** @param {Reply | null} reply to the interactions in the undo stack */
  function showReply(reply) {
    store.set({reply, answered: reply ? undoStack.interactions : []});
    onReply(reply);
  }

  store.subscribe((state, previous) => {
    const isMasks = state.mode === 'masks', isOtherMode = state.mode !== previous.mode;
    if (isOtherMode || state.tool !== previous.tool) {
      stage.setTool(isMasks ? maskTool() : state.tool === 'brush' ? brush.tool : promptTool);
    }
    if (isOtherMode || state.interactions !== previous.interactions) stage.setInteractions(isMasks ? [] : state.interactions);
    if (isOtherMode || state.reply !== previous.reply) {
      stage.showMask(isMasks || !state.reply ? null : state.reply.rle, isMasks ? [] : newStrokes());
    } else if (state.interactions !== previous.interactions) stage.showStrokes(newStrokes());
  });

  /** @param {ToolName} tool */
  function setTool(tool) {
    leaveMasks();
    store.set({tool});
  }

  return {
    undoStack, stage, showReply, showBrushSize,
    /** What to ask the server for: the mask of the newest interactions; null where it would be arbitrary. */
    question() {
      const {photo, interactions} = store.get();
      if (!photo || !isAnswerable(interactions)) return null;
      return {interactions, side: stage.maskSide, isCurrent: () => store.get().interactions === interactions};
    },
    /** Takes the server's reply to the newest interactions. @param {any} reply */
    receive(reply) {
      if (!reply.ok) return fail(reply.error);
      clearAlert();
      showReply(reply);
      store.set({shownSeq: reply.seq});
      const waiting = afterReply;
      afterReply = null;
      if (waiting?.interactions === undoStack.interactions) waiting.act();
    },
    /**
     * Does something once the mask on the stage is that of the newest interactions, unless they change before.
     * @param {() => void} act
     */
    whenAnswered(act) {
      const {photo, isOpening, interactions, answered} = store.get();
      if (!photo || isOpening) return;
      if (answered === interactions || !isAnswerable(interactions)) return act();
      afterReply = {interactions, act};
      requestMask();
    },
    /** @param {number} index of a candidate */
    choose(index) {
      const {reply, answered, interactions} = store.get();
      // While a newer click is on its way, the candidates on the page are not those of its answer.
      if (!reply || lastPrompt(answered) !== lastPrompt(interactions) || index >= reply.candidates.length) return;
      const last = interactions[interactions.length - 1];
      if (index !== (last.type === 'candidate' ? last.index : reply.index)) undoStack.push({type: 'candidate', index});
    },
    commands: {
      'redo': undoStack.redo, 'clear': undoStack.clear,
      'tap-add': () => store.set({isRemoving: false}), 'tap-remove': () => store.set({isRemoving: true}),
      'tool-click': () => setTool('click'), 'tool-brush': () => setTool('brush'),
      'tool-switch': () => setTool(store.get().tool === 'brush' ? 'click' : 'brush'),
      'brush-smaller': brush.smaller, 'brush-larger': brush.larger,
      'zoom-in': () => stage.zoomBy(ZOOM_STEP), 'zoom-out': () => stage.zoomBy(1 / ZOOM_STEP), 'zoom-fit': stage.fit,
    },
    setBrushShare: brush.setShare,
  };
}
/** @typedef {ReturnType<typeof createEditor>} Editor */
