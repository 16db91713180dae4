// Writes what style sheets and tests need to know into the page's data- attributes. No script reads them.
/** @import {Page, PageState} from './page.js' */

const yesOrNo = (/** @type {unknown} */ value) => (value ? 'yes' : 'no');

/** @type {(state: PageState) => Record<string, unknown>} a value of 0 leaves the attribute out */
const attributes = (state) => ({
  loaded: state.isMounted && 'yes',
  touch: yesOrNo(state.hasTouch),
  hover: yesOrNo(state.hasHover),
  model: state.modelInfo ? 'loaded' : 'loading',
  state: state.isOpening ? 'opening' : state.photo ? 'ready' : 'empty',
  busy: yesOrNo(state.busyText),
  ready: state.openedCount,
  failed: state.failureCount,
  asked: state.askedSeq,
  shown: state.shownSeq,
  tool: state.tool,
  mode: state.mode,
  zoom: state.zoom.toFixed(3),
  objects: String(state.objects.length),
  everything: state.mode === 'masks' ? state.generation.phase : 'off',
  masks: String(state.maskCount),
  hovered: String(state.hoveredId),
});

export function reflect(/** @type {Page} */ {root, store}) {
  store.subscribe((state) => {
    for (const [name, value] of Object.entries(attributes(state))) {
      if (value && root.dataset[name] !== String(value)) root.dataset[name] = String(value);
    }
  });
}
