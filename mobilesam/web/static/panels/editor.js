// The object that is edited: the stage and its tools, the interactions, and their newest mask.
/** @import {Page} from './page.js' */
import {createBrush} from '../canvas/brush.js';
import {createStage} from '../canvas/stage.js';
import {createPromptTool} from '../canvas/tools.js';
import {coalesced} from '../core/coalesced.js';
import {cropIn, isAnswerable, lastPrompt, strokesSince} from '../core/interactions.js';
import {REACH_PX, markerAt, withoutMarker} from '../core/markers.js';
import {createUndoStack} from '../core/undo_stack.js';
import {createCrops} from './crops.js';
import {createNextMask} from './next_mask.js';

const ZOOM_STEP = 1.5;          // of a button or a key
const SLOW_MS = 400;            // users notice such a wait
const COARSE = 1.25;            // a mask shown this much enlarged is requested again
const PREVIEW_DELAY_MS = 80;    // a pointer that passes over the candidates requests nothing

/** `ask` calls a server function; `leaveMasks` ends the mode for generated masks, which `maskTool` picks; `isClean` says
 * whether the mask is to be cleaned. `onLateReply` gets the server's answer to interactions that are edited no longer. `objectAt` returns the object that a click selects where nothing is edited yet, and
 * `onHover` gets the imagePoint of the pointer. `decoder` is the browser's own, and `previewSetting` whether it is wanted.
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
  const {refs, store, limits, fail, clearAlert} = page;
  let waiting = /** @type {{interactions: Interaction[], acts: (() => void)[]} | null} */ (null);     // for their answer
  // The interactions whose newest mask the server has sent; a restored mask may be that of earlier ones.
  let confirmed = /** @type {Interaction[] | null} */ (null);
  let previewTimer = 0, previews = 0;   // a reply for an earlier preview is dropped
  let candidate = /** @type {number | null} */ (null);          // under the pointer or with the focus
  const isRemoving = () => store.get().isRemoving;

  /** Whether the newest mask is fine enough for the zoom. */
  function isFineEnough() {
    const {reply, photo} = store.get();
    if (!reply || !photo) return true;
    const side = Math.max(...reply.rle.size);
    return stage.maskSide <= COARSE * side || Math.max(photo.width, photo.height) <= side;
  }

  const requestMask = coalesced(async () => {
    const {photo, interactions, preview, askedSeq} = store.get(), wanted = preview?.interactions ?? interactions;
    if (!photo || !isAnswerable(wanted) || (wanted === confirmed && isFineEnough())) return;
    if (preview && decoder.canAnswer(photo, wanted)) return;
    const mine = previews, clean = isClean();
    const slowText = isCropAnswered(wanted) ? 'Finding the mask…' : 'Encoding the visible part…';
    const slow = setTimeout(() => { if (!isShown(wanted)) store.set({slowText}); }, SLOW_MS);
    store.set({askedSeq: askedSeq + 1});
    const reply = await ask('segment', {interactions: wanted, clean, side: stage.maskSide},
      () => store.set({slowText: 'No answer yet, trying again…'}));
    clearTimeout(slow);
    store.set({slowText: ''});
    if (isClean() !== clean) return;            // asked again
    if (store.get().interactions === wanted) receive(reply);
    else if (preview) receivePreview(reply, wanted, mine === previews);
    else if (reply.ok) onLateReply(wanted, reply);
  });

  /** Whether the browser's own answer to these interactions shows. @param {Interaction[]} interactions */
  function isShown(interactions) {
    const {reply, answered} = store.get();
    return answered === interactions && reply?.isLocal === true;
  }

  /** Shows the browser's own answer where it can give one: to the interactions until the server's comes, to a preview
   * instead of the server's. */
  async function answerLocally() {
    const {photo, interactions, preview} = store.get(), wanted = preview?.interactions ?? interactions;
    if (wanted === confirmed || !isAnswerable(wanted) || !decoder.canAnswer(photo, wanted)) return;
    const mine = previews, clean = isClean();
    const reply = await decoder.reply({interactions: wanted, clean, side: stage.maskSide, thumbnailSide: limits.thumbnail_side});
    const now = store.get();
    if (!reply || isClean() !== clean) return;
    if (preview && now.preview && mine === previews) store.set({preview: {...now.preview, reply, answered: wanted}});
    else if (now.interactions === wanted && wanted !== confirmed) {
      showReply(reply);
      actOnAnswer();
    }
  }

  /** Answers the newest interactions, or the preview. */
  function answer() {
    answerLocally();
    requestMask();
  }

  const undoStack = createUndoStack((interactions) => {
    leaveMasks();
    stopPreview();
    store.set({interactions, canUndo: undoStack.canUndo, canRedo: undoStack.canRedo});
    if (!isAnswerable(interactions)) showReply(null);
    if (interactions === confirmed) clearAlert();       // of what was undone
    encodeAhead();
    answer();
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

  /** Whether an earlier reply came from the crop of the interactions, if they have one.
   * @param {Interaction[]} interactions */
  function isCropAnswered(interactions) {
    const crop = cropIn(interactions);
    return !crop || store.get().answered.includes(crop);
  }

  /** Removes the crop of an object from its interactions, also from those that can be undone: they are answered from
   * the whole photo. */
  function leaveCrop() {
    const {states, index} = undoStack.save(), crop = cropIn(states[index]);
    undoStack.restore({states: states.map((state) => state.filter((item) => item !== crop)), index});
  }

  /** Shows other interactions and their mask, until `endPreview` or until they are committed.
   * @param {Interaction[]} interactions */
  function showPreview(interactions) {
    const {preview} = store.get();
    store.set({preview: {reply: null, answered: [], ...preview, interactions}});
    answer();
  }

  /** @type {(reply: any, answered: Interaction[], isCurrent: boolean) => void} */
  function receivePreview(reply, answered, isCurrent) {
    const {preview, askedSeq} = store.get();
    if (preview && isCurrent && reply.ok) store.set({preview: {...preview, reply, answered}});
    store.set({shownSeq: askedSeq});
  }

  function stopPreview() {
    clearTimeout(previewTimer);
    previews++;
    store.set({preview: null});
  }

  function endPreview() {
    stopPreview();
    answer();                   // where the preview came before an answer
  }

  /** Replaces the interactions by those of a preview. Its newest mask shows until they are answered themselves.
   * @param {Interaction[]} interactions */
  function commit(interactions) {
    const {preview} = store.get();
    if (preview?.reply) {
      showReply(preview.reply, preview.answered, null);
      confirmed = preview.reply.isLocal ? null : preview.answered;
    }
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
    onDrag: (interactions) => (interactions === undoStack.interactions ? endPreview() : showPreview(interactions)),
    onReplace: commit,
    onPoint: (point) => inTurn(() => {
      const count = undoStack.interactions.filter(({type}) => type === 'point').length;
      if (count >= limits.max_points) fail(`An object can have up to ${limits.max_points} points. Undo some first.`);
      else addPrompt({type: 'point', ...point});
    }),
    onBox: (box) => inTurn(() => addPrompt({type: 'box', box})),
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
      if (!isFineEnough()) requestMask();
    },
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

  /** @param {Reply | null} reply to the interactions in the undo stack, or to earlier ones */
  function showReply(reply, answered = undoStack.interactions, preview = store.get().preview) {
    confirmed = null;
    store.set({reply, answered: reply ? answered : [], preview});
    onReply(reply);
  }

  /** @param {any} reply to the newest interactions */
  function receive(reply) {
    if (!reply.ok) {
      if (!reply.isLost && !isCropAnswered(undoStack.interactions)) leaveCrop();
      else fail(reply.error);
      return;
    }
    clearAlert();
    showReply(reply);
    confirmed = undoStack.interactions;
    store.set({shownSeq: store.get().askedSeq});
    actOnAnswer();
  }

  /** Puts an act behind those that wait for an answer; whether there are any. @param {() => void} act */
  function hold(act) {
    if (waiting?.interactions !== undoStack.interactions) return false;
    waiting.acts.push(act);
    return true;
  }

  function inTurn(/** @type {() => void} */ act) {
    if (!hold(act)) act();
  }

  /** Does what waits for the answer to the interactions. Further acts wait again if one of these begins to. */
  function actOnAnswer() {
    const acts = waiting?.interactions === undoStack.interactions ? waiting.acts : [];
    waiting = null;
    acts.forEach(inTurn);
  }

  /** @param {() => void} act */
  function whenAnswered(act) {
    const {interactions} = store.get();
    if (hold(() => whenAnswered(act))) return;
    if (confirmed === interactions || isShown(interactions) || !isAnswerable(interactions)) return act();
    waiting = {interactions, acts: [act]};
    requestMask();
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
    if (state.decoder !== previous.decoder) answer();
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
    if (candidate !== null) endPreview();
    candidate = index;
    if (index === null) return;
    previewTimer = setTimeout(() => {
      const next = store.get().mode === 'clicks' && withCandidate(index);
      if (next) showPreview(next);
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
    undoStack, stage, showReply, choose, previewCandidate, removeMarker, hold,
    /** Does something as soon as the server or the browser has answered the newest interactions, unless they change before. */
    whenAnswered,
    /** Replaces the mask by one for the same interactions. */
    askAgain() {
      confirmed = null;
      answer();
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
