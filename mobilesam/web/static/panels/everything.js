// @ts-check
// All objects of the photo at once: the settings, the progress, and the mode in which a click edits a mask.
/** @import {GeneratedMask, Rle} from '../core/types.js' */
/** @import {Page, PageState} from './page.js' */
import {createMaskLayer, createMaskTool} from '../canvas/mask_layer.js';

/**
 * @typedef {{start: (options: Record<string, number>) => void, pause: () => void, stop: () => void, reset: () => void}} Generation
 * @typedef {{onMasks: (ids: number[], added: GeneratedMask[]) => void, onProgress: (progress: PageState['generation']) => void}} Handlers
 * @typedef {object} Options
 * @property {(handlers: Handlers) => Generation} createGeneration
 * @property {() => void} redraw what the tool draws has changed
 * @property {(rle: Rle) => void} onPick a mask is to be edited
 * @property {(masks: GeneratedMask[]) => void} onKeep all masks are to be kept as objects
 */

/** @param {Page} page @param {Options} options */
export function createEverything(page, {createGeneration, redraw, onPick, onKeep}) {
  const {refs, store, buttons} = page;
  const layer = createMaskLayer(page.limits.display_side);
  const fields = {
    points_per_side: refs.setPoints, min_mask_region_area: refs.setArea,
    pred_iou_thresh: refs.setIou, stability_score_thresh: refs.setStability,
  };
  const generation = createGeneration({
    onMasks(ids, added) {
      layer.update(ids, added);
      store.set({maskCount: layer.masks.length, hoveredId: layer.hovered});
      redraw();
    },
    onProgress(progress) {
      store.set({generation: progress});
      if (progress.phase === 'paused' && !store.get().maskCount) leave();
    },
  });

  function showDefaults() {
    const defaults = store.get().modelInfo?.everything ?? {};
    for (const [name, field] of Object.entries(fields)) {
      if (name in defaults) field.value = String(defaults[name]);
    }
  }

  /** What is set; an empty field is left to the server. */
  function options() {
    const filled = Object.entries(fields).filter(([, field]) => field.value !== '');
    return Object.fromEntries(filled.map(([name, field]) => [name, Number(field.value)]));
  }

  /** @param {Readonly<PageState>} state */
  function statusText({generation: {phase, done, total, isRetrying}, maskCount, hasHover}) {
    const points = total ? `${done} of ${total} points` : 'Starting';
    const masks = maskCount + (maskCount === 1 ? ' mask' : ' masks');
    if (phase === 'running') return isRetrying ? 'No answer yet, trying again…' : `${points}, ${masks}`;
    if (phase === 'finished' && !maskCount) return 'No masks found. Lower the thresholds under "Advanced" and try again.';
    const offer = maskCount ? ` ${hasHover ? 'Click' : 'Tap'} one to edit it.` : '';
    return `${phase === 'finished' ? '' : `Stopped at ${points}, `}${masks}.${offer}`;
  }

  /** @param {Readonly<PageState>} state */
  function show(state) {
    const isOn = state.mode === 'masks', isRunning = state.generation.phase === 'running', {done, total} = state.generation;
    refs.generation.hidden = !isOn;
    const text = statusText(state);
    if (refs.generationStatus.textContent !== text) refs.generationStatus.textContent = text;
    refs.generationStatus.ariaLive = isOn && !isRunning ? 'polite' : 'off';
    refs.generationProgress.hidden = !isRunning;
    refs.generationProgress.value = total ? done / total : 0;
    buttons('everything')[0].disabled = !state.photo || state.isOpening || (isOn && isRunning);
    buttons('everything-stop')[0].hidden = !isRunning;
    buttons('everything-keep')[0].disabled = isRunning || !state.maskCount;
  }

  /** Back to clicks; whether it was otherwise. */
  function leave() {
    if (store.get().mode === 'clicks') return false;
    layer.hover(0);
    store.set({mode: 'clicks', hoveredId: 0});
    generation.pause();
    return true;
  }

  function start() {
    if (!store.get().photo) return;
    page.clearAlert();
    store.set({mode: 'masks'});
    generation.start(options());
    refs.stage.scrollIntoView({block: 'nearest'});     // on a phone the button is far below the photo
  }

  function stop() {
    generation.stop();
    if (!store.get().maskCount) leave();
  }

  function keep() {
    leave();
    onKeep(layer.masks);
  }

  const tool = createMaskTool({
    layer,
    onPick(id) {
      const mask = layer.masks.find((one) => one.id === id);
      leave();
      if (mask) onPick(mask.rle);
    },
    onHover(id) {
      store.set({hoveredId: id});
      redraw();
    },
  });

  store.subscribe((state, previous) => {
    show(state);
    if (state.modelInfo !== previous.modelInfo) showDefaults();
  });
  return {
    tool, leave,
    reset() { leave(); generation.reset(); },
    commands: {
      'everything': start, 'everything-stop': stop, 'everything-keep': keep, 'everything-done': leave,
      'everything-defaults': showDefaults,
    },
  };
}
