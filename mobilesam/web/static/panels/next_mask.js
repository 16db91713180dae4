// The mask that a click at the pointer would make, or the box that is being drawn. It shows before either is made, where
// the browser can decode it itself, and until the mask that it became is there. The first move of the pointer over a photo has the browser get ready.
/** @import {Page, PageState} from './page.js' */
import {isInside, pixelAt} from '../core/geometry.js';

/** What it follows from, besides the pointer. */
const CAUSES = /** @type {const} */ ([
  'photo', 'decoder', 'hasPreview', 'interactions', 'answered', 'mode', 'tool', 'isOpening', 'isRemoving', 'combining', 'objects',
  'clean', 'zoom',
]);

/** `withPrompt` returns the interactions with another prompt, and `objectAt` the object that a click would select instead.
 * @param {Page} page
 * @param {{decoder: LocalDecoder, withPrompt: (prompt: Interaction) => Interaction[], isClean: () => boolean,
 *   objectAt: (imagePoint: Point) => PhotoObject | null, isRemembered: () => Promise<boolean>,
 *   remember: (isOn: boolean) => void}} options */
export function createNextMask({refs, store}, {decoder, withPrompt, isClean, objectAt, isRemembered, remember}) {
  let pointer = /** @type {Point | null} */ (null), box = /** @type {Box | null} */ (null);
  let asked = '', clears = 0;    // an answer to what was asked before a clear is dropped

  /** The prompt that a click or the end of the drag would add; null: none that starts a mask. @returns {Interaction | null} */
  function nextPrompt() {
    const {photo, interactions, mode, tool, isOpening, isRemoving, combining, hasPreview} = store.get();
    if (!photo || !hasPreview || isOpening || isRemoving || combining || mode !== 'clicks' || tool !== 'click') return null;
    if (box) return {type: 'box', box};
    if (!pointer || interactions.length || !isInside(pointer, photo) || objectAt(pointer)) return null;
    return {type: 'point', ...pixelAt(pointer, photo), label: 1};
  }

  function clear() {
    clears++;
    asked = '';
    store.set({nextMask: null});
  }

  const queryOf = (/** @type {Interaction[]} */ interactions) => ({interactions, clean: isClean()});

  /** Whether a click or a drag has made what is shown, and its mask is still to come. */
  function isAwaited() {
    const {interactions, answered} = store.get();
    return asked !== '' && answered !== interactions && asked === JSON.stringify(queryOf(interactions));
  }

  async function update() {
    if (isAwaited()) return;
    const {photo} = store.get(), prompt = nextPrompt(), interactions = prompt && withPrompt(prompt);
    if (!interactions || !decoder.canAnswer(photo, interactions)) return clear();
    const query = queryOf(interactions), wanted = JSON.stringify(query), mine = clears;
    if (wanted === asked) return;
    asked = wanted;
    const nextMask = await decoder.outline(query);
    if (nextMask && mine === clears) store.set({nextMask});
  }

  store.subscribe((state, previous) => {
    refs.pointerPreview.checked = state.hasPreview;
    if (state.photo !== previous.photo || state.failureCount !== previous.failureCount) clear();    // no mask will come
    if (CAUSES.some((key) => state[key] !== previous[key])) update();
  });
  refs.pointerPreview.addEventListener('change', () => {
    const hasPreview = refs.pointerPreview.checked;
    remember(hasPreview);
    store.set({hasPreview});
    if (!hasPreview) decoder.stop();
  });
  isRemembered().then((isOn) => { if (!isOn) store.set({hasPreview: false}); });

  return {
    /** The pointer or the crosshair is at an imagePoint; null: on the photo no longer. @param {Point | null} imagePoint */
    hover(imagePoint) {
      const {photo, hasPreview} = store.get();
      if (imagePoint && photo && hasPreview) decoder.open(photo);
      pointer = imagePoint;
      update();
    },
    /** A box is being drawn; null: no longer. @param {Box | null} drawn */
    drag(drawn) {
      box = drawn;
      update();
    },
  };
}
