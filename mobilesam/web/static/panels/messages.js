// @ts-check
// Progress, alerts, and the note at the bottom of the page.
/** @import {Page, PageState} from './page.js' */

const NOTE_MS = 12000;
const ALERT_MS = 8000;          // of one that is not an error

/** @param {Page} page */
export function createMessages({refs, store}) {
  let alertTimer = 0, noteTimer = 0;

  /** @param {Readonly<PageState>} state */
  function showAlert({alert}) {
    clearTimeout(alertTimer);
    refs.alert.hidden = !alert;
    refs.alert.dataset.kind = alert?.kind ?? '';
    refs.alertText.textContent = alert?.text ?? '';
    if (alert?.kind === 'note') alertTimer = setTimeout(() => store.set({alert: null}), ALERT_MS);
  }

  /** @param {Readonly<PageState>} state */
  function showNote({note}) {
    clearTimeout(noteTimer);
    refs.note.hidden = !note;
    refs.noteText.textContent = note?.text ?? '';
    refs.noteUndo.textContent = note?.label ?? '';
    if (note) noteTimer = setTimeout(() => store.set({note: null}), NOTE_MS);
  }

  store.subscribe((state, previous) => {
    const text = state.busyText || state.slowText;
    refs.busyBox.hidden = !text;
    refs.busy.textContent = text;
    if (state.alert !== previous.alert) showAlert(state);
    if (state.note !== previous.note) showNote(state);
  });
}
