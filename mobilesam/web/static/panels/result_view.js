// The result in the place of the photo: the cut-out on a background, next to the photo if users want to compare.
/** @import {Act} from '../core/acts.js' */
/** @import {Page, PageState} from './page.js' */
/** @import {Background, Cutout} from './compositing.js' */
import {clearCanvas, contextOf, resize} from '../canvas/canvas2d.js';
import {screenPointOf} from '../canvas/gestures.js';
import {listenToMoves} from '../canvas/moves.js';
import {fitted} from '../core/geometry.js';
import {hasMask} from '../core/objects.js';
import {IN_PLACE, moved, placed, visiblePart} from '../core/placement.js';
import {createHistory} from '../core/undo_stack.js';
import {composed, displayed, framedPhoto, previewCutout, wholeOf} from './compositing.js';
import {makeDraggable} from './sharing.js';

const DISPLAY_SIDE = 1600;      // of what shows; the file has the photo's own size
const PAUSE_MS = 600;           // turns of the wheel with a shorter pause between them are undone together, as a drag is
const STEP = 0.01, LARGE_STEP = 0.1;    // of an arrow key, as shares of the photo's longest side
const TOO_LARGE = 'This browser cannot make a picture of that size. Crop it to the object, or download the cut-out.';

/** Whether there is a result to show. */
export const hasResult = (/** @type {PageState} */ {mode, reply, objects}) => (
  mode === 'clicks' && (Boolean(reply?.coverage) || objects.some(hasMask)));

function put(/** @type {HTMLCanvasElement} */ canvas, /** @type {HTMLCanvasElement} */ picture) {
  resize(canvas, picture.width, picture.height);
  clearCanvas(canvas);
  contextOf(canvas).drawImage(picture, 0, 0);
}

/** Asks for the cut-out of what is shown, once for each.
 * @param {(query: object) => Promise<CutoutFile>} fetchCutout */
function createCutoutFiles(fetchCutout) {
  let lastKey = /** @type {unknown[]} */ ([]);
  let last = /** @type {Promise<CutoutFile> | null} */ (null);
  return (/** @type {unknown[]} */ key, /** @type {() => object} */ query) => {
    if (last && key.every((item, index) => item === lastKey[index])) return last;
    const current = fetchCutout(query());
    current.catch(() => { if (last === current) last = null; });
    [last, lastKey] = [current, key];
    return current;
  };
}

/** @param {Page} page
 * @param {{fetchCutout: (query: object) => Promise<CutoutFile>, objectsQuery: () => object}} options */
export function createResultView({root, refs, store, buttons, fail}, {fetchCutout, objectsQuery}) {
  const {resultView: view, resultAt: at, resultSize: size, resultColour: colour, resultFile: file} = refs;
  const backgroundButtons = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll('[data-background]'));
  const cutoutFiles = createCutoutFiles(fetchCutout);
  let background = 'none';      // the name of a button, or a colour
  let chosen = /** @type {ImageBitmap | null} */ (null);
  let isCropped = false, isComparing = false, wantsAll = false;
  let movedAt = -Infinity;
  const lastAct = () => /** @type {Act | undefined} */ (store.get().acts.at(-1));
  let opened = {interactions: store.get().interactions, act: lastAct()};   // what was there when the result was opened
  let actBefore = lastAct();                               // the last one before the last move
  let cutout = /** @type {Cutout | null} */ (null);
  let ready = /** @type {CutoutFile | null} */ (null);     // at the photo's own size

  const isAll = () => wantsAll || !store.get().reply?.coverage;
  const isMovable = () => !isCropped && !isComparing && !['none', 'blur'].includes(background);
  const behind = () => /** @type {Background} */ (background === 'picture' ? chosen : background);
  const placements = createHistory(IN_PLACE, () => change(() => store.set({canUndoMove: placements.canUndo})));
  const placementNow = () => (['none', 'blur'].includes(background) ? IN_PLACE : placements.current);
  const frameOf = (/** @type {Photo} */ photo, /** @type {Cutout} */ {bounds}) => (
    isCropped ? visiblePart(placed(bounds, bounds, placementNow()), photo) : wholeOf(photo));

  /** The cut-out of the mask, or of all objects, at the photo's own size. */
  function requestCutout(all = isAll()) {
    const {photo, answered, clean, objects, exclusive, edges} = store.get();
    return cutoutFiles([photo, edges, clean, all, all ? objects : answered, all && exclusive], () => (
      {edges, ...(all ? objectsQuery() : {interactions: answered, clean})}));
  }

  /** Decodes a cut-out for a moment: at its own size it may take hundreds of megabytes.
   * @template Result
   * @param {CutoutFile} file @param {(cutout: Cutout) => Result} use */
  async function withCutout({blob, corner: [x, y]}, use) {
    const picture = await createImageBitmap(blob).catch(() => { throw new Error(TOO_LARGE); });
    const box = /** @type {Box} */ ([x, y, x + picture.width, y + picture.height]);
    const result = use({picture, box, bounds: box});
    picture.close();
    return result;
  }

  function draw() {
    const {photo} = store.get();
    if (!photo || !cutout) return;
    const frame = frameOf(photo, cutout), [x0, y0, x1, y1] = frame, [width, height] = fitted(x1 - x0, y1 - y0, DISPLAY_SIDE);
    if (isComparing) put(refs.resultBefore, framedPhoto(photo, frame, width, height));
    put(refs.resultAfter, composed(photo, cutout, behind(), placementNow(), frame, width, height));
    view.style.setProperty('--ratio', String((x1 - x0) / (y1 - y0)));
    buttons('result-save').forEach((button) => { button.title = `Download ${x1 - x0} × ${y1 - y0} pixels`; });
  }

  function show(/** @type {Cutout} */ next, /** @type {CutoutFile | null} */ file = null) {
    cutout = next;
    ready = file;
    view.dataset.full = file ? 'yes' : 'no';
    draw();
  }

  /** Shows the masks at once as they are on the page, and the cut-out at its own size when it comes. */
  async function refresh() {
    const {photo, objects, reply} = store.get();
    if (!photo) return;
    const replies = isAll() ? objects.filter(hasMask).map((item) => item.reply) : reply ? [reply] : [];
    show(previewCutout(photo, replies.map(({rle}) => rle), DISPLAY_SIDE));
    const request = requestCutout();
    try {
      const found = await request, next = await withCutout(found, (full) => displayed(full, DISPLAY_SIDE));
      if (store.get().view === 'result' && request === requestCutout()) show(next, found);
    } catch (error) {
      if (store.get().view === 'result') fail(/** @type {Error} */ (error).message);
    }
  }

  function showControls() {
    const {objects, edges, reply} = store.get(), hasOthers = objects.filter(hasMask).length > 1;
    const flags = {'result-compare': isComparing, 'result-crop': isCropped, 'result-all': isAll(), 'result-edges': edges === 'soft'};
    for (const [command, flag] of Object.entries(flags)) {
      buttons(command).forEach((button) => button.setAttribute('aria-pressed', String(flag)));
    }
    buttons('result-all').forEach((button) => Object.assign(button, {hidden: !hasOthers, disabled: !reply?.coverage}));
    const names = Array.from(backgroundButtons, (button) => button.dataset.background);
    const name = names.includes(background) ? background : 'colour';
    backgroundButtons.forEach((button, index) => {
      button.setAttribute(button instanceof HTMLButtonElement ? 'aria-pressed' : 'data-pressed', String(names[index] === name));
    });
    Object.assign(view.dataset, {
      comparing: isComparing ? 'yes' : 'no', movable: isMovable() ? 'yes' : 'no', transparent: background === 'none' ? 'yes' : 'no',
    });
    refs.resultAfter.draggable = background === 'none' && !isComparing;
    at.hidden = !isComparing;
    size.disabled = !isMovable();
    /** @type {HTMLElement} */ (size.parentElement).title = size.disabled ? 'On a colour or a picture, the object can be moved and scaled' : '';
    size.value = String(Math.round(100 * placements.current.scale));
    size.setAttribute('aria-valuetext', size.value + '%');
  }

  function change(act = () => {}) {
    act();
    showControls();
    if (store.get().view === 'result') draw();
  }

  const setBackground = (/** @type {string} */ next) => change(() => { background = next; });

  async function choosePicture(/** @type {File} */ picked) {
    const picture = await createImageBitmap(picked).catch(() => null);
    if (!picture) return fail('The browser cannot show this file as a picture. Choose a JPEG, PNG or WebP.');
    chosen = picture;
    setBackground('picture');
  }

  /** @param {Placement} next @param {boolean} [isFirst] of a drag */
  function place(next, isFirst) {
    const now = performance.now(), isSame = isFirst === undefined ? now - movedAt < PAUSE_MS : !isFirst;
    movedAt = now;
    actBefore = lastAct();
    placements[isSame ? 'amend' : 'replace'](next);
  }

  /** @param {{x?: number, y?: number, factor?: number}} by x and y in pixels of the photo @param {boolean} [isFirst] of a drag */
  function move(by, isFirst) {
    const {photo} = store.get(), bounds = cutout?.bounds;
    if (photo && bounds) place(moved(placements.current, bounds, photo, by), isFirst);
  }

  /** Undoes the last move; what was done before the result was opened stays. False: the last change is one of the mask. */
  function undo() {
    const {view: shown, interactions} = store.get(), act = lastAct();
    if (shown !== 'result') return false;
    if (placements.canUndo ? act !== actBefore : interactions !== opened.interactions || act !== opened.act) return false;
    movedAt = -Infinity;
    placements.undo();
    return true;
  }

  /** Does a move again; false if none was undone. */
  function redo() {
    if (store.get().view !== 'result' || !placements.canRedo) return false;
    movedAt = -Infinity;
    placements.redo();
    return true;
  }

  /** For another photo: the object is in its place, and a picture that was chosen for the last photo is gone. */
  function reset() {
    movedAt = -Infinity;
    if (background === 'picture') background = 'none';
    chosen = null;
    placements.restore({states: [IN_PLACE], index: 0});
  }

  function slide() {
    view.style.setProperty('--at', at.value + '%');
    at.setAttribute('aria-valuetext', Math.round(Number(at.value)) + '% of the photo, from the left');
  }

  function followSlider(/** @type {PointerEvent} */ event) {
    at.value = String(100 * screenPointOf(event, view).x / view.clientWidth);
    slide();
  }

  /** What shows, at the photo's own size. @returns {Promise<NamedBlob>} */
  async function makeResult() {
    const {photo} = store.get(), on = behind(), isPlain = background === 'none' && isCropped, where = placementNow();
    const found = await requestCutout();
    if (!photo || isPlain) return found;
    const canvas = await withCutout(found, (full) => {
      const frame = frameOf(photo, full), [x0, y0, x1, y1] = frame;
      return composed(photo, full, on, where, frame, x1 - x0, y1 - y0);
    });
    const blob = await /** @type {Promise<Blob | null>} */ (new Promise((resolve) => { canvas.toBlob(resolve, 'image/png'); }));
    if (!blob) throw new Error(TOO_LARGE);
    return {blob, name: photo.file.name.replace(/[.][^.]*$/, '') + '-picture.png'};
  }

  function open() {
    if (!hasResult(store.get()) || store.get().isOpening) return;
    opened = {interactions: store.get().interactions, act: lastAct()};
    store.set({view: 'result'});
    view.focus({preventScroll: true});
  }

  function close() {
    if (store.get().view === 'select') return false;
    const hadFocus = root.contains(document.activeElement);
    store.set({view: 'select'});
    if (hadFocus) refs.marks.focus({preventScroll: true});
    return true;
  }

  at.addEventListener('input', slide);
  size.addEventListener('input', () => place({...placements.current, scale: size.valueAsNumber / 100}));
  colour.addEventListener('input', () => setBackground(colour.value));
  colour.addEventListener('click', () => setBackground(colour.value));
  view.addEventListener('pointerdown', (event) => {
    if (!isComparing || event.button !== 0) return;
    event.preventDefault();
    view.setPointerCapture(event.pointerId);
    at.focus({preventScroll: true});
    followSlider(event);
  });
  view.addEventListener('pointermove', (event) => {
    if (isComparing && view.hasPointerCapture(event.pointerId)) followSlider(event);
  });
  listenToMoves(view, isMovable, ({x, y, factor, isFirst}) => {
    const {photo} = store.get(), scale = (photo?.width ?? 0) / view.clientWidth;
    move({x: x * scale, y: y * scale, factor}, isFirst);
  });
  view.addEventListener('keydown', (event) => {
    const {photo} = store.get(), directions = /** @type {Record<string, [number, number]>} */ (
      {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]});
    const direction = directions[event.key];
    if (!direction || !photo || !isMovable()) return;
    event.preventDefault();
    const step = (event.shiftKey ? LARGE_STEP : STEP) * Math.max(photo.width, photo.height);
    move({x: direction[0] * step, y: direction[1] * step});
  });
  backgroundButtons.forEach((button) => {
    const name = button.dataset.background ?? 'none';
    if (name === 'picture') button.addEventListener('click', () => file.click());
    else if (name !== 'colour') button.addEventListener('click', () => setBackground(name));
  });
  file.addEventListener('change', () => {
    if (file.files?.[0]) choosePicture(file.files[0]);
    file.value = '';
  });
  makeDraggable(refs.resultAfter, () => (background === 'none' && !isComparing ? ready : null));
  slide();
  showControls();

  store.subscribe((state, previous) => {
    if (state.photo?.file !== previous.photo?.file) reset();
    const keys = /** @type {const} */ (['view', 'photo', 'reply', 'objects', 'edges', 'exclusive']);
    const isNew = keys.some((key) => state[key] !== previous[key]);
    if (isNew) showControls();
    if (state.view !== 'result') return;
    if (state.isOpening || !hasResult(state)) close();
    else if (isNew) refresh();
  });

  return {
    close, undo, redo,
    /** What shows at the photo's own size: the result, or the cut-out of the mask or of all objects; null where there is none. */
    makePicture() {
      const state = store.get();
      if (state.view === 'result') return makeResult();
      const all = !state.reply?.coverage;
      if (!all || state.objects.some(hasMask)) return requestCutout(all);
      return fail('There is no mask yet. Click an object first.');
    },
    commands: {
      'view-result': open, 'view-select': close, 'view-switch': () => { if (!close()) open(); },
      'result-compare': () => change(() => { isComparing = !isComparing; }),
      'result-crop': () => change(() => { isCropped = !isCropped; }),
      'result-all'() { wantsAll = !isAll(); showControls(); if (store.get().view === 'result') refresh(); },
      'result-edges': () => store.set({edges: store.get().edges === 'soft' ? 'hard' : 'soft'}),
    },
  };
}
