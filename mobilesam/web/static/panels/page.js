// What the panels share: the elements and the state of the page, and messages to the user.
/** @import {Act} from '../core/acts.js' */
import {actsFor, lastAct, withAct} from '../core/acts.js';
import {PALETTE} from '../core/palette.js';
import {createStore} from '../core/store.js';

const NOTE_MS = 12000;
const ALERT_MS = 8000;          // of one that is not an error

const initialState = {
  hasHover: window.matchMedia('(any-hover: hover)').matches,
  modelInfo: /** @type {{device: string, weights: string, reason: string, everything: Record<string, number>} | null} */ (null),
  photo: /** @type {Photo | null} */ (null),
  photos: /** @type {SetPhoto[]} */ ([]),                       // of the set
  classes: /** @type {readonly string[]} */ ([]),
  lastClass: '',                // the name that was given to an object last
  isKept: true,                 // whether the browser has the work in the open photo on disk
  shownKey: '',                 // of the photo that was asked for last: a reload shows it
  isOpening: false,
  encodeCost: '',
  openedCount: 0, failureCount: 0, askedSeq: 0, shownSeq: 0,    // for tests
  busyText: '',                 // work that the page must wait for
  slowText: '',                 // a mask that is late
  alert: /** @type {{text: string, kind: 'error' | 'note', isWarning?: boolean} | null} */ (null),
  note: /** @type {{text: string, label: string, act: () => void, interactions: Interaction[]} | null} */ (null),
  acts: /** @type {Act[]} */ ([]),                              // that Undo takes back
  tool: /** @type {ToolName} */ ('click'),
  isRemoving: false,            // whether taps and strokes exclude
  isSheetOpen: false,           // on phones
  view: /** @type {'select' | 'result'} */ ('select'),
  canUndoMove: false,           // of the object in the result
  edges: /** @type {'soft' | 'hard'} */ ('soft'),               // of cut-outs
  zoom: 1,
  interactions: /** @type {Interaction[]} */ ([]),
  canUndo: false, canRedo: false,
  reply: /** @type {Reply | null} */ (null),                    // whose mask is on the stage
  answered: /** @type {Interaction[]} */ ([]),                  // the interactions that it answers
  preview: /** @type {Preview | null} */ (null),
  nextMask: /** @type {Outline | null} */ (null),               // that a click at the pointer would make
  hasPreview: true,             // whether the user wants to see it
  decoder: /** @type {DecoderState} */ ('idle'),                // the browser's own
  objects: /** @type {PhotoObject[]} */ ([]),
  activeId: 0,
  activeColour: PALETTE[0],
  combining: /** @type {'merge' | 'subtract' | null} */ (null), // what the next click on an object does
  highlightedId: 0,             // of the object under the pointer, on the photo or in the list; 0 for none
  exclusive: /** @type {Exclusive} */ (null),
  clean: true,                  // of the active object
  mode: /** @type {'clicks' | 'masks'} */ ('clicks'),           // masks: the generated masks are on the stage
  generation: {phase: 'none', done: 0, total: 0, isRetrying: false},
  maskCount: 0, otherCount: 0, tickedCount: 0,          // others: those that are no objects yet
  hovered: /** @type {GeneratedMask | null} */ (null),
};
/** @typedef {Readonly<typeof initialState>} PageState */

/** @type {(root: HTMLElement) => Refs} */
function findRefs(root) {
  const camelCase = (/** @type {string} */ name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());
  const nodes = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll('[data-part]'));
  return /** @type {any} */ (Object.fromEntries(Array.from(nodes, (node) => [camelCase(node.dataset.part ?? ''), node])));
}

const yesOrNo = (/** @type {unknown} */ value) => (value ? 'yes' : 'no');

/** What style sheets and tests need to know; a value of 0 leaves the attribute out. */
const attributes = (/** @type {PageState} */ state) => ({
  touch: yesOrNo(navigator.maxTouchPoints > 0),         // a laptop with a touch screen has both; a phone has no hover
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
  sheet: yesOrNo(state.isSheetOpen),
  view: state.view,
  zoom: state.zoom.toFixed(3),
  objects: String(state.objects.length),
  photos: String(state.photos.length),
  set: yesOrNo(state.photos.length > 1),
  everything: state.mode === 'masks' ? state.generation.phase : 'off',
  masks: String(state.maskCount),
  ticked: String(state.tickedCount),
  hovered: String(state.hovered?.id ?? 0),
  decoder: state.decoder,
  next: yesOrNo(state.nextMask),
});

/** Writes the data- attributes of the page. No script reads them. */
function reflect(/** @type {Page} */ {root, store}) {
  store.subscribe((state) => {
    for (const [name, value] of Object.entries(attributes(state))) {
      if (value && root.dataset[name] !== String(value)) root.dataset[name] = String(value);
    }
  });
}

/** Shows progress, alerts, and the note at the bottom of the page. */
function showMessages(/** @type {Page} */ {refs, store}) {
  let alertTimer = 0, noteTimer = 0;

  store.subscribe(({busyText, slowText, alert, note}, previous) => {
    refs.busy.textContent = busyText || slowText;
    refs.busyBox.hidden = !refs.busy.textContent;
    if (alert !== previous.alert) {
      clearTimeout(alertTimer);
      refs.alert.hidden = !alert;
      refs.alert.dataset.kind = alert?.kind ?? '';
      refs.alertText.textContent = alert?.text ?? '';
      if (alert?.kind === 'note') alertTimer = setTimeout(() => store.set({alert: null}), ALERT_MS);
    }
    if (note !== previous.note) {
      clearTimeout(noteTimer);
      refs.note.hidden = !note;
      refs.noteText.textContent = note?.text ?? '';
      refs.noteUndo.textContent = note?.label ?? '';
      if (note) noteTimer = setTimeout(() => store.set({note: null}), NOTE_MS);
    }
  });
}

/** @param {HTMLElement} root @param {{limits: Limits, examples: Example[]}} props */
export function createPage(root, {limits, examples}) {
  const store = createStore(initialState);

  /** Keeps these acts; the note that offers to undo one of the others goes. @param {Act[]} acts */
  function keepActs(acts) {
    const {note} = store.get();
    store.set({acts, note: note?.label === 'Undo' ? null : note});
  }

  const page = {
    root, limits, examples, store,
    refs: findRefs(root),
    /** All buttons of a command. @param {string} command @returns {NodeListOf<HTMLButtonElement>} */
    buttons: (command) => root.querySelectorAll(`[data-do="${command}"]`),
    fail(/** @type {string} */ text) {
      store.set({alert: {text, kind: 'error'}, failureCount: store.get().failureCount + 1});
      return null;
    },
    /** Ends the message, unless it is a warning that users must have read. */
    clearAlert() { if (!store.get().alert?.isWarning) store.set({alert: null}); },
    warn(/** @type {string} */ text) { store.set({alert: {text, kind: 'error', isWarning: true}, failureCount: store.get().failureCount + 1}); },
    setBusy(/** @type {string} */ busyText) { store.set({busyText}); },
    /** Shows a note with a button. @param {string} text @param {() => void} act @param {string} label */
    tell(text, act, label) {
      store.set({note: {text, label, act, interactions: store.get().interactions}});
    },
    /** Lets Undo take back what was just done; a note with words offers that too. With `objectId` only while that object is
     * edited. @param {() => void} undo @param {{text?: string, objectId?: number}} [options] */
    did(undo, {text, objectId} = {}) {
      const act = {undo, interactions: store.get().interactions, objectId};
      store.set({acts: withAct(store.get().acts, act)});
      if (text) page.tell(text, () => page.takeBack(act), 'Undo');
    },
    /** Takes an act back, unless that has been done. @param {Act} act */
    takeBack(act) {
      const {acts} = store.get();
      if (!acts.includes(act)) return;
      keepActs(acts.filter((other) => other !== act));
      act.undo();
    },
    /** Takes the last act back; false if something else was done after it. */
    undoAct() {
      const act = lastAct(store.get());
      if (act) page.takeBack(act);
      return act !== null;
    },
    actOnNote() {
      const {note} = store.get();
      store.set({note: null});
      note?.act();
    },
  };
  store.subscribe(({acts, activeId}, previous) => {
    const counting = activeId === previous.activeId ? acts : actsFor(acts, activeId);
    if (counting.length < acts.length) keepActs(counting);
  });
  reflect(page);
  showMessages(page);
  return page;
}
/** @typedef {ReturnType<typeof createPage>} Page */

/** @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name @param {object} properties @param {(Node | string)[]} children */
export function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}
