// The object that is edited: the stage and its tools, the interactions, and their newest mask.
/** @import {Page} from './page.js' */
import {createBrush} from '../canvas/brush.js';
import {createStage} from '../canvas/stage.js';
import {createPromptTool} from '../canvas/tools.js';
import {coalesced} from '../core/coalesced.js';
import {isAnswerable, lastPrompt, strokesSince} from '../core/interactions.js';
import {createUndoStack} from '../core/undo_stack.js';

const ZOOM_STEP = 1.5;          // of a button or a key
const SLOW_MS = 400;            // users notice such a wait
const COARSE = 1.25;            // a mask shown this much enlarged is requested again

/** `ask` calls a server function; `leaveMasks` ends the mode for generated masks, which `maskTool` picks; `isClean` says
 * whether the mask is to be cleaned.
 * @param {Page} page
 * @param {{ask: (name: string, query: object, onTrouble: () => void) => Promise<any>, leaveMasks: () => boolean,
 *   maskTool: () => Tool, onReply: (reply: Reply | null) => void, isClean: () => boolean}} handlers */
export function createEditor({refs, store, limits, fail, clearAlert}, {ask, leaveMasks, maskTool, onReply, isClean}) {
  let afterReply = /** @type {{interactions: Interaction[], act: () => void} | null} */ (null);
  const isRemoving = () => store.get().isRemoving;

  const requestMask = coalesced(async () => {
    const {photo, interactions, askedSeq} = store.get();
    if (!photo || !isAnswerable(interactions)) return;
    const clean = isClean();
    const slow = setTimeout(() => store.set({slowText: 'Finding the mask…'}), SLOW_MS);
    store.set({askedSeq: askedSeq + 1});
    const reply = await ask('segment', {interactions, clean, side: stage.maskSide},
      () => store.set({slowText: 'No answer yet, trying again…'}));
    clearTimeout(slow);
    store.set({slowText: ''});
    if (store.get().interactions === interactions && isClean() === clean) receive(reply);
  });

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
    onDraw: showMask,
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

  function showBrushSize() {
    const text = Math.round(brush.size) + ' px';
    refs.brush.value = String(Math.round(100 * brush.share));
    refs.brush.setAttribute('aria-valuetext', text);
    refs.brushSize.textContent = text;
  }

  /** Shows the newest mask, the strokes that it does not contain yet, and the one that is being drawn. */
  function showMask() {
    const {mode, reply, answered, interactions} = store.get();
    if (mode === 'masks') return stage.showMask(null, []);
    stage.showMask(reply && reply.rle, [...strokesSince(answered, interactions), ...(brush.stroke ? [brush.stroke] : [])]);
  }

  /** @param {Reply | null} reply to the interactions in the undo stack */
  function showReply(reply) {
    store.set({reply, answered: reply ? undoStack.interactions : []});
    onReply(reply);
  }

  /** @param {any} reply to the newest interactions */
  function receive(reply) {
    if (!reply.ok) return fail(reply.error);
    clearAlert();
    showReply(reply);
    store.set({shownSeq: store.get().askedSeq});
    const waiting = afterReply;
    afterReply = null;
    if (waiting?.interactions === undoStack.interactions) waiting.act();
  }

  refs.brush.addEventListener('input', () => brush.setShare(refs.brush.valueAsNumber / 100));
  showBrushSize();
  store.subscribe((state, previous) => {
    const isMasks = state.mode === 'masks', isOtherMode = state.mode !== previous.mode;
    const isEdited = isOtherMode || state.interactions !== previous.interactions;
    if (isOtherMode || state.tool !== previous.tool) {
      stage.setTool(isMasks ? maskTool() : state.tool === 'brush' ? brush.tool : promptTool);
    }
    if (isEdited) stage.setInteractions(isMasks ? [] : state.interactions);
    if (isEdited || state.reply !== previous.reply) showMask();
  });

  function setTool(/** @type {ToolName} */ tool) {
    leaveMasks();
    store.set({tool});
  }

  /** @param {number} index of a candidate */
  function choose(index) {
    const {reply, answered, interactions} = store.get();
    // While a newer click is unanswered, the candidates on the page are not its own.
    if (!reply || lastPrompt(answered) !== lastPrompt(interactions) || index >= reply.candidates.length) return;
    const last = interactions[interactions.length - 1];
    if (index !== (last.type === 'candidate' ? last.index : reply.index)) undoStack.push({type: 'candidate', index});
  }

  return {
    undoStack, stage, showReply, choose,
    /** Replaces the mask by one for the same interactions. */
    askAgain() {
      store.set({answered: []});
      requestMask();
    },
    /** Does something as soon as the newest interactions are answered, unless they change before. */
    whenAnswered(/** @type {() => void} */ act) {
      const {interactions, answered} = store.get();
      if (answered === interactions || !isAnswerable(interactions)) return act();
      afterReply = {interactions, act};
      requestMask();
    },
    commands: {
      'redo': undoStack.redo, 'clear': undoStack.clear,
      'tap-add': () => store.set({isRemoving: false}), 'tap-remove': () => store.set({isRemoving: true}),
      'tool-click': () => setTool('click'), 'tool-brush': () => setTool('brush'),
      'tool-switch': () => setTool(store.get().tool === 'brush' ? 'click' : 'brush'),
      'brush-smaller': brush.smaller, 'brush-larger': brush.larger,
      'choose-1': () => choose(0), 'choose-2': () => choose(1), 'choose-3': () => choose(2),
      'zoom-in': () => stage.zoomBy(ZOOM_STEP), 'zoom-out': () => stage.zoomBy(1 / ZOOM_STEP), 'zoom-fit': stage.fit,
    },
  };
}
/** @typedef {ReturnType<typeof createEditor>} Editor */
