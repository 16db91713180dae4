// The object that is edited: the stage and its tools, the interactions, and the mask that shows.
/** @import {Page} from './page.js' */
import {createBrush} from '../canvas/brush.js';
import {createStage} from '../canvas/stage.js';
import {createPromptTool} from '../canvas/tools.js';
import {cropIn, lastPrompt, strokesSince} from '../core/interactions.js';
import {REACH_PX, markerAt, withoutMarker} from '../core/markers.js';
import {createUndoStack} from '../core/undo_stack.js';
import {createCrops} from './crops.js';
import {createMaskRequests} from './mask_requests.js';
import {createNextMask} from './next_mask.js';

const ZOOM_STEP = 1.5;          // of a button or a key
const PREVIEW_DELAY_MS = 80;    // a pointer that passes over the candidates requests nothing

/** `ask` calls a server function; `leaveMasks` ends the mode for generated masks, which `maskTool` picks; `isClean` says
 * whether the mask is to be cleaned. `onLateReply` gets the server's answer to interactions that are edited no longer.
 * `objectAt` returns the object that a click selects where nothing is edited yet, and `onHover` gets the imagePoint of
 * the pointer. `decoder` is the browser's own, and `previewSetting` whether it is wanted.
 * @param {Page} page
 * @param {{ask: (name: string, query: object, onTrouble?: () => void) => Promise<any>, decoder: LocalDecoder,
 *   previewSetting: {isRemembered: () => Promise<boolean>, remember: (isOn: boolean) => void}, leaveMasks: () => boolean,
 *   maskTool: () => Tool, onReply: (reply: Reply | null) => void, isClean: () => boolean,
 *   onLateReply: (answered: Interaction[], reply: Reply) => void,
 *   objectAt: (imagePoint: Point) => PhotoObject | null, onSelect: (object: PhotoObject) => void,
 *   onHover: (imagePoint: Point | null) => void}} handlers */
export function createEditor(page, {
  ask, decoder, previewSetting, leaveMasks, maskTool, onReply, onLateReply, isClean, objectAt, onSelect, onHover,
}) {
  const {refs, store, limits, fail} = page;
  let candidate = /** @type {number | null} */ (null);          // under the pointer or with the focus
  const isRemoving = () => store.get().isRemoving;

  const undoStack = createUndoStack((interactions) => {
    leaveMasks();
    requests.stopPreview();
    store.set({interactions, canUndo: undoStack.canUndo, canRedo: undoStack.canRedo});
    encodeAhead();
    requests.update();
  });

  /** Prepares for the first click on an object. */
  function encodeAhead() {
    if (!undoStack.interactions.length) crops.encodeAtRest();
  }

  /** The interactions with one more point or box. The first one on an object may be answered from a crop.
   * @param {Interaction} prompt @returns {Interaction[]} */
  function withPrompt(prompt) {
    const {interactions} = undoStack, box = interactions.length ? null : crops.current;
    return [...interactions, .../** @type {Interaction[]} */ (box ? [{type: 'crop', box}] : []), prompt];
  }

  const addPrompt = (/** @type {Interaction} */ prompt) => undoStack.replace(withPrompt(prompt));

  /** Removes the crop of an object from its interactions, also from those that can be undone: they are answered from
   * the whole photo. */
  function leaveCrop() {
    const {states, index} = undoStack.save(), crop = cropIn(states[index]);
    undoStack.restore({states: states.map((state) => state.filter((item) => item !== crop)), index});
  }

  /** Replaces the interactions by those of a preview. Its newest mask shows until they are answered themselves.
   * @param {Interaction[]} interactions */
  function commit(interactions) {
    requests.keepPreview();
    undoStack.replace(interactions);
  }

  const promptTool = createPromptTool({
    isRemoving, onSelect, interactions: () => undoStack.interactions,
    objectAt: (imagePoint) => (undoStack.interactions.length && !store.get().combining ? null : objectAt(imagePoint)),
    onHover(imagePoint) {
      onHover(imagePoint);
      nextMask.hover(imagePoint);
    },
    onDraw: (box) => nextMask.drag(box),
    onDrag: (interactions) => (interactions === undoStack.interactions ? requests.endPreview() : requests.showPreview(interactions)),
    onReplace: commit,
    onPoint: (point) => requests.inTurn(() => {
      const count = undoStack.interactions.filter(({type}) => type === 'point').length;
      if (count >= limits.max_points) fail(`An object can have up to ${limits.max_points} points. Undo some first.`);
      else addPrompt({type: 'point', ...point});
    }),
    onBox: (box) => requests.inTurn(() => addPrompt({type: 'box', box})),
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
      encodeAhead();
      requests.refine();
    },
  });
  const requests = createMaskRequests(page, {
    ask, decoder, isClean, onReply, onLateReply, maskSide: () => stage.maskSide, onCropFailed: leaveCrop,
  });
  const crops = createCrops(store, {visible: () => stage.visible, encode: (crop) => ask('encode_crop', {crop})});
  const nextMask = createNextMask(page, {decoder, withPrompt, isClean, objectAt, ...previewSetting});

  function showBrushSize() {
    const text = Math.round(brush.size) + ' px';
    refs.brush.value = String(Math.round(100 * brush.share));
    refs.brush.setAttribute('aria-valuetext', text);
    refs.brushSize.textContent = text;
  }

  /** Shows the newest mask, the strokes that it does not contain yet, and the one that is being drawn. */
  function showMask() {
    const state = store.get(), {mode, activeColour} = state;
    if (mode === 'masks') return stage.showMask(null, activeColour, []);
    const {reply, answered, interactions} = state.preview?.reply ? state.preview : state;
    const strokes = [...strokesSince(answered, interactions), ...(brush.stroke ? [brush.stroke] : [])];
    stage.showMask(reply && reply.rle, activeColour, strokes);
  }

  refs.brush.addEventListener('input', () => brush.setShare(refs.brush.valueAsNumber / 100));
  showBrushSize();
  store.subscribe((state, previous) => {
    const isMasks = state.mode === 'masks', isOtherMode = state.mode !== previous.mode;
    const isEdited = isOtherMode || state.interactions !== previous.interactions || state.preview !== previous.preview;
    if (isOtherMode || state.tool !== previous.tool) {
      stage.setTool(isMasks ? maskTool() : state.tool === 'brush' ? brush.tool : promptTool);
    }
    if (isEdited) stage.setInteractions(isMasks ? [] : state.preview?.interactions ?? state.interactions);
    if (isEdited || state.reply !== previous.reply || state.activeColour !== previous.activeColour) showMask();
    if (state.nextMask !== previous.nextMask) stage.showNext(state.nextMask);
    if (state.decoder !== previous.decoder) requests.answer();
  });

  function setTool(/** @type {ToolName} */ tool) {
    leaveMasks();
    store.set({tool});
  }

  /** The interactions with another candidate; null where there is none or it is chosen already.
   * @type {(index: number) => Interaction[] | null} */
  function withCandidate(index) {
    const {reply, answered, interactions, preview} = store.get();
    // While a newer click is unanswered, the candidates on the page are not its own.
    if (!reply || lastPrompt(answered) !== lastPrompt(interactions) || index >= reply.candidates.length) return null;
    const last = interactions[interactions.length - 1], shown = preview?.interactions.at(-1);
    if (index === (last.type === 'candidate' ? last.index : reply.index)) return null;
    return preview && shown?.type === 'candidate' && shown.index === index ? preview.interactions
      : [...interactions, {type: 'candidate', index}];
  }

  /** @param {number} index of a candidate */
  function choose(index) {
    const next = withCandidate(index);
    if (next) commit(next);
  }

  /** Shows the mask of a candidate; null: no longer. @param {number | null} index */
  function previewCandidate(index) {
    if (candidate !== null) requests.endPreview();
    candidate = index;
    if (index === null) return;
    requests.beforePreview(() => {
      const next = store.get().mode === 'clicks' && withCandidate(index);
      if (next) requests.showPreview(next);
    }, PREVIEW_DELAY_MS);
  }

  /** Removes the marker under the crosshair or the pointer; whether there was one. */
  function removeMarker() {
    const {mode, tool} = store.get(), {target} = stage;
    if (mode === 'masks' || tool !== 'click' || !target) return false;
    const marker = markerAt(undoStack.interactions, target, REACH_PX.mouse, stage.scale);
    if (marker) undoStack.replace(withoutMarker(undoStack.interactions, marker));
    return marker !== null;
  }

  return {
    undoStack, stage, requests, choose, previewCandidate, removeMarker,
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
