// Composes the page.
/** @import {Page} from './panels/page.js' */
import {createDownloads, isMaskFile, saveBlob} from './io/downloads.js';
import {createMaskGeneration} from './io/mask_generation.js';
import {createPhotoLoader, fetchExample} from './io/photo_loader.js';
import {createAsk, createCall, waitForModel} from './io/server.js';
import {createSessionStore} from './io/session_store.js';
import {createControls} from './panels/controls.js';
import {createEditor} from './panels/editor.js';
import {createEverything} from './panels/everything.js';
import {createObjectsPanel} from './panels/objects.js';
import {createOpening} from './panels/opening.js';
import {createPage, isUndoNote} from './panels/page.js';
import {createResult} from './panels/result.js';
import {createResultView} from './panels/result_view.js';
import {createSharing} from './panels/sharing.js';
import {createSources} from './panels/sources.js';

/** @typedef {ReturnType<typeof createParts>} Parts */
/** @param {Page} page @param {Call} call */
function createParts(page, call) {
  const {store, fail, setBusy} = page;
  const ask = createAsk(call, () => store.get().photo?.token, () => opening.reopen());
  const editor = createEditor(page, {
    ask, leaveMasks: () => everything.leave(), maskTool: () => everything.tool,
    onReply: (reply) => panel.objects.setReply(reply), isClean: () => panel.objects.clean,
    objectAt: (imagePoint) => panel.objectAt(imagePoint), onSelect: ({id}) => panel.edit(id),
    onHover: (imagePoint) => panel.hover(imagePoint),
  });
  const downloads = createDownloads({ask, setBusy, fail});
  const session = createSessionStore(() => panel.objects.snapshot());
  const panel = createObjectsPanel(page, editor, {
    downloads, onChange: session.touch, reopen: (file, snapshot) => opening.open(file, {work: snapshot}),
  });
  const generation = createMaskGeneration({
    ask, onError: fail,
    onProgress: (progress) => everything.showProgress(progress),
    onMasks: (ids, added) => everything.update(ids, added),
  });
  const everything = createEverything(page, {
    generation, redraw: editor.stage.redrawMarks,
    onEdit: (rle) => editor.undoStack.replace([{type: 'mask', rle}]),
    onKeep: (masks) => panel.add(masks, 'kept'), onReveal: (id) => panel.reveal(id),
  });
  const opening = createOpening(page, {
    loader: createPhotoLoader(call), reserve: editor.stage.reserve, onOpening: session.setOpening,
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
  return {editor, downloads, session, panel, everything, opening};
}

/** @param {Page} page @param {Parts} parts */
function createCommands(page, {editor: {stage, undoStack, ...editor}, downloads, panel, everything, opening}) {
  const {store, refs, clearAlert, actOnNote} = page;
  const view = createResultView(page, {
    fetchCutout: downloads.cutout, objectsQuery: () => ({objects: panel.objects.exported, exclusive: panel.objects.exclusive}),
  });

  /** Saves a file of the mask that is edited, else of all objects. */
  function save(/** @type {string} */ kind) {
    const {interactions, clean, edges, reply} = store.get();
    if (reply?.coverage) return downloads.save({kind, interactions, clean, edges});
    return panel.saveAll(kind === 'mask' ? 'mask_png' : kind);
  }

  /** Ends one of these: the sheet of a phone, opening a photo, a drag, the result, a message, the mode for generated
   * masks, the interactions. */
  function escape() {
    if (store.get().isSheetOpen) return store.set({isSheetOpen: false});
    if (store.get().isOpening) return opening.end();
    if (stage.cancelGesture()) return;
    if (view.close()) return;
    if (store.get().alert) return clearAlert();
    if (!everything.leave()) undoStack.clear();
  }

  return {
    ...editor.commands, ...panel.commands, ...everything.commands,
    ...createSources(page, fetchExample, (file, click) => (isMaskFile(file) ? panel.load(file) : opening.open(file, {click}))).commands,
    ...view.commands, ...createSharing(page, view.makePicture, saveBlob).commands,
    'undo': () => (isUndoNote(store.get()) ? actOnNote() : view.undo() || undoStack.undo()),
    'redo': () => view.redo() || undoStack.redo(),
    'note-undo': actOnNote, 'dismiss': clearAlert, escape,
    'delete': () => store.get().view === 'select' && (editor.removeMarker() || panel.removeActive()),
    'cutout': () => save('cutout'), 'mask': () => save('mask'),
    'sheet': () => {},
    'help': () => refs.help.showModal(), 'help-close': () => refs.help.close(),
  };
}

/** Starts the page; called by the Gradio component.
 * @param {{element: HTMLElement, props: {limits: Limits, examples: Example[]}, server: any}} component */
export function mount({element, props, server}) {
  const page = createPage(/** @type {HTMLElement} */ (element.querySelector('.sam')), props), {store} = page;
  const call = createCall(server);
  const parts = createParts(page, call), {editor, opening, session} = parts;
  createResult(page, editor.choose, editor.previewCandidate);
  createControls(page, editor.stage.crosshair, createCommands(page, parts));
  page.root.dataset.loaded = 'yes';
  waitForModel(call).then((reply) => (reply.ok ? store.set({modelInfo: /** @type {any} */ (reply)}) : page.fail(reply.error)));
  session.load().then((kept) => {
    const {photo, isOpening} = store.get();
    if (kept && !photo && !isOpening) opening.open(kept.file, {work: kept.work, isRestored: true});
  });
}
