// Progress, alerts, and the note at the bottom of the page.
/** @import {Page} from './page.js' */

const NOTE_MS = 12000;
const ALERT_MS = 8000;          // of one that is not an error

export function createMessages(/** @type {Page} */ {refs, store}) {
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
