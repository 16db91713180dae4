// Automatic mask generation: its settings, its progress, and the mode in which a click ticks a mask to keep.
/** @import {Page, PageState} from './page.js' */
import {createMaskLayer, createMaskTool} from '../canvas/mask_layer.js';
import {describeMask, hasMask} from '../core/objects.js';

const LINGER_MS = 1000;         // longer than a double click, whose second half must not hit the tools

/** @typedef {Record<'pause' | 'stop' | 'reset', () => void> & {start: (options: Record<string, number>) => void}} Generation */
/** `onEdit` edits a mask, which ends the mode; `onKeep` keeps masks as objects and returns whether there was room, `more`
 * is a sentence to add to its message.
 * @param {Page} page
 * @param {{generation: Generation, redraw: () => void, onEdit: (rle: Rle) => void,
 *   onKeep: (masks: GeneratedMask[], more: string) => boolean}} options */
export function createEverything(page, {generation, redraw, onEdit, onKeep}) {
  const {refs, store, buttons} = page;
  const layer = createMaskLayer(page.limits.display_side);
  let lingering = 0;            // a timer: the row is still there, without effect
  const fields = {
    points_per_side: refs.setPoints, min_area_share: refs.setShare, mask_nms_thresh: refs.setDuplicates,
    min_mask_region_area: refs.setArea,
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

  function statusText(/** @type {PageState} */ {generation: {phase, done, total, isRetrying}, maskCount, hovered, hasHover}) {
    if (hovered) return describeMask(hovered.area / (hovered.rle.size[0] * hovered.rle.size[1]), hovered.predicted_iou);
    const points = total ? `${done} of ${total} points` : 'Starting';
    const masks = maskCount + (maskCount === 1 ? ' mask' : ' masks');
    if (phase === 'running') return isRetrying ? 'No answer yet, trying again…' : `${points}, ${masks}`;
    if (phase === 'finished' && !maskCount) return 'No masks found. Lower the thresholds under "Advanced" and try again.';
    const offer = maskCount ? ` ${hasHover ? 'Click' : 'Tap'} those to keep, or one to edit.` : '';
    return `${phase === 'finished' ? '' : `Stopped at ${points}, `}${masks}.${offer}`;
  }

  function keepText(/** @type {PageState} */ {maskCount, tickedCount}) {
    if ((tickedCount || maskCount) === 1) return 'Keep 1 as an object';
    return tickedCount ? `Keep ${tickedCount} as objects` : `Keep all ${maskCount || ''} as objects`;
  }

  function show(/** @type {PageState} */ state) {
    const isOn = state.mode === 'masks', isRunning = state.generation.phase === 'running', {done, total} = state.generation;
    refs.generation.hidden = !isOn && !lingering;
    refs.generation.inert = !isOn;
    const text = statusText(state);
    if (refs.generationStatus.textContent !== text) refs.generationStatus.textContent = text;
    refs.generationStatus.ariaLive = isOn && !isRunning ? 'polite' : 'off';
    refs.generationProgress.hidden = !isRunning;
    refs.generationProgress.value = total ? done / total : 0;
    buttons('everything')[0].disabled = !state.photo || state.isOpening || (isOn && isRunning);
    buttons('everything-stop')[0].disabled = !isRunning;
    buttons('everything-edit')[0].disabled = state.tickedCount !== 1;
    const [keepButton] = buttons('everything-keep');
    keepButton.disabled = isRunning || !state.maskCount;
    keepButton.textContent = keepText(state);
  }

  /** Tells what has changed in the layer. */
  function changed() {
    store.set({maskCount: layer.masks.length, tickedCount: layer.ticked.length, hovered: layer.hovered});
    redraw();
  }

  /** Ends the mode for generated masks; false if it was not on. */
  function leave() {
    if (store.get().mode === 'clicks') return false;
    layer.hover(0);
    store.set({mode: 'clicks', hovered: null});
    generation.pause();
    return true;
  }

  /** As `leave`, by a button of the row. */
  function done() {
    lingering = setTimeout(() => {
      lingering = 0;
      show(store.get());
    }, LINGER_MS);
    leave();
    refs.marks.focus({preventScroll: true});
  }

  function start() {
    page.clearAlert();
    clearTimeout(lingering);
    lingering = 0;
    store.set({mode: 'masks'});
    generation.start(options());
    refs.stage.scrollIntoView({block: 'nearest'});     // on a phone the button is far below the photo
  }

  function stop() {
    generation.stop();
    if (!store.get().maskCount) done();
  }

  /** Keeps the ticked masks, or all, except those that are objects already. */
  function keep() {
    const {ticked} = layer, chosen = ticked.length ? ticked : layer.masks;
    const masks = layer.without(chosen, store.get().objects.filter(hasMask).map(({reply}) => reply.rle));
    const known = chosen.length - masks.length, what = known === 1 ? 'was already an object' : 'were already objects';
    const more = known ? ` ${known} ${what}.` : '';
    if (!masks.length) store.set({alert: {text: 'Nothing to keep:' + more, kind: 'note'}});
    else if (!onKeep(masks, more)) return;
    layer.untick();
    done();
    changed();
  }

  function edit() {
    const [{rle}] = layer.ticked;
    layer.untick();
    done();
    changed();
    onEdit(rle);
  }

  const tool = createMaskTool({layer, onTick: changed, onHover: changed});

  store.subscribe((state, previous) => {
    show(state);
    if (state.modelInfo !== previous.modelInfo) showDefaults();
  });
  return {
    tool, leave,
    /** @param {number[]} ids @param {GeneratedMask[]} added */
    update(ids, added) {
      layer.update(ids, added);
      changed();
    },
    showProgress(/** @type {PageState['generation']} */ progress) {
      store.set({generation: progress});
      if (progress.phase === 'paused' && !store.get().maskCount) leave();
    },
    reset() { leave(); generation.reset(); },
    commands: {
      'everything': start, 'everything-stop': stop, 'everything-edit': edit, 'everything-keep': keep, 'everything-done': done,
      'everything-defaults': showDefaults,
    },
  };
}
