// Composes the page.
/** @import {Page} from './panels/page.js' */
import {sizeOf, thumbnail} from './canvas/thumbnail.js';
import {fittingWork} from './core/objects.js';
import {isProjectFile} from './core/project_file.js';
import {isAnnotationFile, withoutPhoto} from './io/annotation_files.js';
import {contentKey} from './io/content_key.js';
import {createDataSetExport} from './io/data_set.js';
import {createDownloads, saveBlob, saveFile} from './io/downloads.js';
import {droppedFiles, usableFiles} from './io/dropped_files.js';
import {createExactMasks} from './io/exact_masks.js';
import {createLocalDecoder} from './io/local_decoder.js';
import {createMaskGeneration} from './io/mask_generation.js';
import {createPhotoLoader, fetchExample} from './io/photo_loader.js';
import {createAsk, createCall, upload, waitForModel} from './io/server.js';
import {createWorkStore} from './io/work_store.js';
import {createAnnotations} from './panels/annotations.js';
import {createClasses} from './panels/classes.js';
import {createControls} from './panels/controls.js';
import {createDataSet} from './panels/data_set.js';
import {createEditor} from './panels/editor.js';
import {createEverything} from './panels/everything.js';
import {createKeptWork} from './panels/kept_work.js';
import {createObjectsPanel} from './panels/objects.js';
import {createOpening} from './panels/opening.js';
import {createPage} from './panels/page.js';
import {createPhotoSet} from './panels/photo_set.js';
import {createPhotoStrip} from './panels/photo_strip.js';
import {createResult} from './panels/result.js';
import {createResultView} from './panels/result_view.js';
import {createSharing} from './panels/sharing.js';
import {createSources} from './panels/sources.js';

/** @typedef {ReturnType<typeof createParts>} Parts */
/** @param {Page} page @param {Call} call */
function createParts(page, call) {
  const {store, fail, setBusy} = page, workStore = createWorkStore();
  const ask = createAsk(call, () => store.get().photo?.token, () => opening.reopen(), () => store.get().photo?.key);
  const editor = createEditor(page, {
    ask, decoder: createLocalDecoder((decoder) => store.set({decoder})),
    previewSetting: {isRemembered: workStore.hasPreview, remember: workStore.setPreview},
    leaveMasks: () => everything.leave(), maskTool: () => everything.tool,
    onReply: (reply) => panel.objects.setReply(reply),
    onLateReply: (answered, reply) => panel.objects.confirm(answered, reply), isClean: () => panel.objects.clean,
    objectAt: (imagePoint) => panel.objectAt(imagePoint), onSelect: ({id}) => panel.edit(id),
    onHover: (imagePoint) => panel.hover(imagePoint),
  });
  const downloads = createDownloads({ask, setBusy, fail});
  const classes = createClasses(page, {
    call, load: workStore.classes, save: workStore.saveClasses,
    rename(from, to) {
      panel.objects.renameClass(from, to);
      kept.renameClass(from, to);
    },
  });
  const panel = createObjectsPanel(page, editor, {ask, downloads, classes, onChange: () => kept.touch()});
  const kept = createKeptWork(page, {
    workStore, capture: panel.objects.snapshot, restore: panel.objects.restore,
  });
  store.subscribe(({interactions, classes: names}, previous) => {
    if (interactions !== previous.interactions) kept.touch();
    if (names !== previous.classes) panel.objects.recolour();
  });
  const loader = createPhotoLoader(call);
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
    loader, reserve: editor.stage.reserve,
    onOpened(photo, notes, work, click) {
      const newest = photo.key === kept.openKey ? kept.current() : work;        // it was opened again
      leavePhoto(photo);
      editor.stage.show(photo.picture, photo.width, photo.height);
      const fitting = newest && fittingWork(newest, photo);
      if (fitting?.work) panel.objects.restore(fitting.work);
      if (fitting?.left) notes = [...notes, `Left out: ${fitting.left} objects that were loaded for a photo of another size.`];
      kept.arrive(photo.key);
      if (notes.length) store.set({alert: {text: notes.join(' '), kind: 'note'}});
      const isClicked = click !== null && !editor.undoStack.interactions.length;
      const object = isClicked ? panel.objectAt(click) : null;
      if (object) panel.edit(object.id);
      else if (isClicked) editor.undoStack.push({type: 'point', ...click, label: 1});
      store.set({openedCount: store.get().openedCount + 1});
      return isClicked;
    },
  });

  /** Another photo replaces the open one, or null. @param {Photo | null} photo */
  function leavePhoto(photo) {
    kept.leave();
    store.set({photo, isRemoving: false, note: null, acts: []});
    everything.reset();
    panel.objects.reset();
  }

  const photoSet = createPhotoSet(page, {
    kept, photoStore: workStore, contentKey, thumbnail, prepare: loader.prepare,
    open: opening.open, cancel: opening.end,
    close() {
      opening.end();
      leavePhoto(null);
      editor.stage.clear();
    },
  });
  createPhotoStrip(page, photoSet);
  const annotations = createAnnotations(page, {
    call, upload, prepare: withoutPhoto, kept, classes, onCount: photoSet.setCount,
    async sizeOf(key) {
      const file = await photoSet.fileOf(key);
      return file && sizeOf(file);
    },
    addToOpen: (objects) => panel.add(objects, 'loaded'),
  });
  const exportDataSet = createDataSetExport({call, getExactMasks: createExactMasks({call, loader, workStore})});
  const dataSet = createDataSet(page, {
    ask, exportDataSet, saveFile, saveBlob, work: kept.work, fileOf: photoSet.fileOf, restore: photoSet.restore,
    useClasses: classes.useAll, keepDays: workStore.keepDays, setKeepDays: workStore.setKeepDays,
    exportOptions: workStore.exportOptions, saveExportOptions: workStore.saveExportOptions,
  });
  return {editor, downloads, panel, everything, opening, photoSet, classes, dataSet, annotations};
}

/** @param {Page} page @param {Parts} parts */
function createCommands(page, {editor: {stage, undoStack, ...editor}, downloads, panel, everything, opening, photoSet, classes, dataSet, annotations}) {
  const {store, refs, actOnNote, undoAct} = page;
  const view = createResultView(page, {
    fetchCutout: downloads.cutout, objectsQuery: () => ({objects: panel.objects.exported, exclusive: panel.objects.exclusive}),
  });

  /** Saves a file of the mask that is edited, else of all objects. */
  function save(/** @type {string} */ kind) {
    const {interactions, clean, edges, reply} = store.get();
    if (reply?.coverage) return downloads.save({kind, interactions, clean, edges});
    return panel.saveAll(kind === 'mask' ? 'mask_png' : kind);
  }

  /** @type {(files: File[], click?: Point) => Promise<void>} */
  async function takeFiles(files, click) {
    const project = files.find(isProjectFile);
    if (project) return dataSet.openProject(project);
    const photos = files.filter((file) => !isAnnotationFile(file)), annotationFiles = files.filter(isAnnotationFile);
    if (photos.length) await photoSet.add(photos, click);
    if (annotationFiles.length) await annotations.load(annotationFiles);
  }

  /** Ends one of these: the sheet of a phone, opening a photo, a drag, the result, a message, the mode for generated
   * masks, the interactions. */
  function escape() {
    if (store.get().isSheetOpen) return store.set({isSheetOpen: false});
    if (store.get().isOpening) {
      opening.unclick();
      return photoSet.stay();
    }
    if (stage.cancelGesture()) return;
    if (view.close()) return;
    if (store.get().alert) return store.set({alert: null});
    if (!everything.leave()) undoStack.clear();
  }

  return {
    ...editor.commands, ...panel.commands, ...everything.commands,
    ...createSources(page, fetchExample, {droppedFiles, usableFiles}, takeFiles).commands,
    ...photoSet.commands, ...classes.commands, ...dataSet.commands, ...annotations.commands,
    ...view.commands, ...createSharing(page, view.makePicture, saveBlob).commands,
    'next': (/** @type {Event} */ event) => (
      store.get().isOpening ? opening.afterClick(() => panel.commands.next(event)) : panel.commands.next(event)),
    'undo': () => (store.get().isOpening ? opening.unclick() : view.undo() || undoAct() || undoStack.undo()),
    'redo': () => view.redo() || undoStack.redo(),
    'note-undo': actOnNote, 'dismiss': () => store.set({alert: null}), escape,
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
  const parts = createParts(page, call), {editor, photoSet, classes} = parts;
  createResult(page, editor.choose, editor.previewCandidate);
  createControls(page, editor.stage.crosshair, createCommands(page, parts),
    (act) => parts.opening.hold(act) || editor.requests.hold(act));
  page.root.dataset.loaded = 'yes';
  waitForModel(call).then((reply) => (reply.ok ? store.set({modelInfo: /** @type {any} */ (reply)}) : page.fail(reply.error)));
  classes.restore();
  photoSet.load();
}
