// Automatic mask generation: its settings, its progress, and the mode in which a click edits a mask.
/** @import {Page, PageState} from './page.js' */
import {createMaskLayer, createMaskTool} from '../canvas/mask_layer.js';

/** @typedef {Record<'pause' | 'stop' | 'reset', () => void> & {start: (options: Record<string, number>) => void}} Generation */
/** `onPick` edits a mask, which ends the mode; `onKeep` keeps all masks as objects.
 * @param {Page} page
 * @param {{generation: Generation, redraw: () => void, onPick: (rle: Rle) => void,
 *   onKeep: (masks: GeneratedMask[]) => void}} options */
export function createEverything(page, {generation, redraw, onPick, onKeep}) {
  const {refs, store, buttons} = page;
  const layer = createMaskLayer(page.limits.display_side);
  const fields = {
    points_per_side: refs.setPoints, min_mask_region_area: refs.setArea,
    pred_iou_thresh: refs.setIou, stability_score_thresh: refs.setStability,
  };

  function showDefaults() {
    const defaults = store.get().modelInfo?.everything ?? {};
    for (const [name, field] of Object.entries(fields)) {
      if (name in defaults) field.value = String(defaults[name]);
    }
  }

  function options() {
    const filled = Object.entries(fields).filter(([, field]) => field.value !== '');
    return Object.fromEntries(filled.map(([name, field]) => [name, Number(field.value)]));
  }

  function statusText(/** @type {PageState} */ {generation: {phase, done, total, isRetrying}, maskCount, hasHover}) {
    const points = total ? `${done} of ${total} points` : 'Starting';
    const masks = maskCount + (maskCount === 1 ? ' mask' : ' masks');
    if (phase === 'running') return isRetrying ? 'No answer yet, trying again…' : `${points}, ${masks}`;
    if (phase === 'finished' && !maskCount) return 'No masks found. Lower the thresholds under "Advanced" and try again.';
    const offer = maskCount ? ` ${hasHover ? 'Click' : 'Tap'} one to edit it.` : '';
    return `${phase === 'finished' ? '' : `Stopped at ${points}, `}${masks}.${offer}`;
  }

  function show(/** @type {PageState} */ state) {
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

  /** Ends the mode for generated masks; false if it was not on. */
  function leave() {
    if (store.get().mode === 'clicks') return false;
    layer.hover(0);
    store.set({mode: 'clicks', hoveredId: 0});
    generation.pause();
    return true;
  }

  function start() {
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
    /** @param {number[]} ids @param {GeneratedMask[]} added */
    update(ids, added) {
      layer.update(ids, added);
      store.set({maskCount: layer.masks.length, hoveredId: layer.hovered});
      redraw();
    },
    showProgress(/** @type {PageState['generation']} */ progress) {
      store.set({generation: progress});
      if (progress.phase === 'paused' && !store.get().maskCount) leave();
    },
    reset() { leave(); generation.reset(); },
    commands: {
      'everything': start, 'everything-stop': stop, 'everything-keep': keep, 'everything-done': leave,
      'everything-defaults': showDefaults,
    },
  };
}
