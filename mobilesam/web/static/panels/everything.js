// Automatic mask generation: its settings, its progress, and the mode in which a click ticks a mask to keep.
/** @import {Page, PageState} from './page.js' */
import {createMaskLayer, createMaskTool} from '../canvas/mask_layer.js';
import {quoted} from '../core/names.js';
import {describeMask, hasMask} from '../core/objects.js';

const LINGER_MS = 1000;         // longer than a double click, whose second half must not hit the tools

/** @typedef {Record<'pause' | 'stop' | 'reset', () => void> & {start: (options: Record<string, number>) => void}} Generation */
/** `onEdit` edits a mask, which ends the mode; `onKeep` keeps masks as objects and returns whether there was room; `onReveal`
 * shows the row of an object.
 * @param {Page} page
 * @param {{generation: Generation, redraw: () => void, onEdit: (rle: Rle) => void,
 *   onKeep: (masks: GeneratedMask[]) => boolean, onReveal: (object: number) => void}} options */
export function createEverything(page, {generation, redraw, onEdit, onKeep, onReveal}) {
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

  function statusText(/** @type {PageState} */ {generation: {phase, done, total, isRetrying}, maskCount, hovered, hasHover, objects}) {
    const object = hovered && objects.find(({id}) => id === layer.keptAs(hovered.id));
    if (object) return `Kept as ${quoted(object.name)}.`;
    if (hovered) return describeMask(hovered.area / (hovered.rle.size[0] * hovered.rle.size[1]), hovered.predicted_iou);
    const points = total ? `${done} of ${total} points` : 'Starting';
    const masks = maskCount + (maskCount === 1 ? ' mask' : ' masks');
    if (phase === 'running') return isRetrying ? 'No answer yet, trying again…' : `${points}, ${masks}`;
    if (phase === 'finished' && !maskCount) return 'No masks found. Lower the thresholds under "Advanced" and try again.';
    const offer = maskCount ? ` ${hasHover ? 'Click' : 'Tap'} those to keep, or one to edit.` : '';
    return `${phase === 'finished' ? '' : `Stopped at ${points}, `}${masks}.${offer}`;
  }

  function keepText(/** @type {PageState} */ {maskCount, tickedCount, otherCount}) {
    if (maskCount && !otherCount) return 'All are kept';
    if ((tickedCount || otherCount) === 1) return 'Keep 1 as an object';
    if (tickedCount) return `Keep ${tickedCount} as objects`;
    return otherCount < maskCount ? `Keep the other ${otherCount}` : `Keep all ${maskCount || ''} as objects`;
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
    keepButton.disabled = isRunning || !state.otherCount;
    keepButton.textContent = keepText(state);
  }

  /** Tells what has changed in the layer. */
  function changed() {
    store.set({
      maskCount: layer.masks.length, otherCount: layer.others.length, tickedCount: layer.ticked.length, hovered: layer.hovered,
    });
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

  /** Keeps the ticked masks, or all that were not kept yet. */
  function keep() {
    if (!onKeep(layer.ticked.length ? layer.ticked : layer.others)) return;
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

  const tool = createMaskTool({layer, onTick: changed, onHover: changed, onKept: onReveal});

  store.subscribe((state, previous) => {
    if (state.mode === 'masks' && (state.mode !== previous.mode || state.objects !== previous.objects)) {
      layer.setObjects(state.objects.filter(hasMask).map(({id, reply, original}) => (
        {id, rle: reply.rle, isKept: id !== state.activeId || original !== null})));
      changed();
    }
    show(store.get());
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
