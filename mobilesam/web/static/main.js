// @ts-check
// Composes the page from its parts.
/** @import {Limits} from './core/types.js' */
/** @import {Example} from './panels/photo_info.js' */
/** @import {Call} from './io/server.js' */
/** @import {Page} from './panels/page.js' */
import {createDownloads, isMaskFile, saveAs} from './io/downloads.js';
import {createFileIntake} from './io/file_intake.js';
import {createMaskGeneration} from './io/mask_generation.js';
import {createPhotoLoader} from './io/photo_loader.js';
import {createSegmentRequests} from './io/segment_requests.js';
import {createAsk, createCall, waitForModel} from './io/server.js';
import {createSessionStore} from './io/session_store.js';
import {createCamera} from './panels/camera.js';
import {createCompare} from './panels/compare.js';
import {createEditor} from './panels/editor.js';
import {createEverything} from './panels/everything.js';
import {listenToKeys} from './panels/keyboard.js';
import {createMessages} from './panels/messages.js';
import {createObjectsPanel} from './panels/objects.js';
import {createOpening} from './panels/opening.js';
import {createPage, isUndoNote} from './panels/page.js';
import {createPhotoInfo} from './panels/photo_info.js';
import {reflect} from './panels/reflect.js';
import {createResult} from './panels/result.js';
import {createToolBars} from './panels/tool_bars.js';

/** @typedef {ReturnType<typeof createParts>} Parts */
/** @param {Page} page @param {Call} call */
function createParts(page, call) {
  const {store, fail, setBusy} = page;
  const ask = createAsk(call, () => store.get().photo?.token, () => opening.reopen());
  const requestMask = createSegmentRequests({
    ask,
    current: () => editor.question(),
    onAsk: (askedSeq) => store.set({askedSeq}),
    onSlow: (slowText) => store.set({slowText}),
    onReply: (reply) => editor.receive(reply),
  });
  const editor = createEditor(page, {
    requestMask, leaveMasks: () => everything.leave(), maskTool: () => everything.tool,
    onReply: (reply) => panel.objects.setReply(reply),
  });
  const downloads = createDownloads({ask, setBusy, fail});
  const session = createSessionStore(() => panel.objects.snapshot());
  const panel = createObjectsPanel(page, editor, {
    downloads, onChange: session.touch, reopen: (file, snapshot) => opening.open(file, snapshot),
  });
  const everything = createEverything(page, {
    createGeneration: (handlers) => createMaskGeneration({ask, onError: fail, ...handlers}),
    redraw: editor.stage.redrawMarks,
    onPick: (rle) => editor.undoStack.replace([{type: 'mask', rle}]),
    onKeep: (masks) => panel.add(masks, 'kept'),
  });
  const loader = createPhotoLoader(call, page.limits);
  const opening = createOpening(page, {
    loader, reserve: editor.stage.reserve, onOpening: session.setOpening,
    onOpened(photo, notes, work, click) {
      const tellOfLast = panel.leavePhoto();
      store.set({photo, isRemoving: false});
      everything.reset();
      panel.objects.reset();
      editor.stage.show(photo.picture, photo.width, photo.height);
      if (work) panel.objects.restore(work);
      session.setPhoto(photo.file);
      tellOfLast();
      if (notes.length) store.set({alert: {text: notes.join(' '), kind: 'note'}});
      if (click && !work) editor.undoStack.push({type: 'point', ...click, label: 1});
      store.set({openedCount: store.get().openedCount + 1});
    },
  });
  return {editor, downloads, session, panel, everything, loader, opening};
}

/** @param {Page} page @param {Parts} parts */
function createCommands(page, {editor: {stage, undoStack, ...editor}, downloads, panel, everything, opening}) {
  const {store, refs, clearAlert, actOnNote} = page;
  /** @param {File} file */
  const take = (file) => (isMaskFile(file) ? panel.load(file) : opening.open(file));
  const {paste} = createFileIntake({stage: refs.stage, inputs: [refs.file, refs.capture], onFile: take, onError: page.fail});
  /** @param {string} kind */
  function save(kind) {
    const {reply, interactions, busyText} = store.get();
    if (reply?.coverage && !busyText) downloads.save({kind, interactions});
  }

  /** Ends what is most recent: a photo on its way, a drag, a message, then the interactions. */
  function escape() {
    if (store.get().isOpening) return opening.end();
    if (stage.cancelGesture()) return;
    if (store.get().alert) return clearAlert();
    if (!everything.leave()) undoStack.clear();
  }

  return {
    ...editor.commands, ...panel.commands, ...everything.commands,
    ...createCamera(page, take).commands, ...createCompare(page, downloads.maskPicture, saveAs).commands,
    'undo': () => (isUndoNote(store.get()) ? actOnNote() : undoStack.undo()),
    'note-undo': actOnNote, 'dismiss': clearAlert, escape,
    'browse': () => refs.file.click(), paste,
    'cutout': () => save('cutout'), 'mask': () => save('mask'),
    'help': () => refs.help.showModal(), 'help-close': () => refs.help.close(),
  };
}

/** @type {(page: Page, commands: Record<string, () => unknown>) => void} */
function listenToButtons({root, refs}, commands) {
  root.addEventListener('click', ({target}) => {
    for (const dialog of [refs.help, refs.compare]) if (target === dialog) return dialog.close();      // beside its contents
    const button = /** @type {HTMLButtonElement | null} */ (/** @type {Element} */ (target).closest('[data-do]'));
    if (button && !button.disabled) commands[button.dataset.do ?? '']();
  });
}

/**
 * Brings the page to life; called by the Gradio component.
 * @param {{element: HTMLElement, props: {limits: Limits, examples: Example[]}, server: any}} component
 */
export function mount({element, props, server}) {
  const page = createPage(/** @type {HTMLElement} */ (element.querySelector('.sam')), props.limits), {store} = page;
  const call = createCall(server);
  reflect(page);
  createMessages(page);
  const parts = createParts(page, call), {editor, loader, opening, session} = parts;
  createResult(page, editor.choose);
  createToolBars(page, editor.setBrushShare);
  createPhotoInfo(page, props.examples, (example) => loader.fetchExample(example).then((file) => opening.open(file),
    () => page.fail('The example could not be loaded. Check the connection and try again.')));
  const commands = createCommands(page, parts);
  listenToButtons(page, commands);
  listenToKeys(page, editor.stage.crosshair, commands, editor.choose);
  editor.showBrushSize();
  store.set({isMounted: true});
  waitForModel(call).then((reply) => (reply.ok ? store.set({modelInfo: /** @type {any} */ (reply)}) : page.fail(reply.error)));
  session.load().then((kept) => {
    const {photo, isOpening} = store.get();
    if (kept && !photo && !isOpening) opening.open(kept.file, kept.work, true);
  });
}
