// What this tab worked on, kept in the browser, so that a reload brings it back: Gradio reloads the page
// when the network fails it, phones throw away pages in the background, browsers crash.
//
// The tab's name lies in sessionStorage, which lives as long as the tab; photo and work lie under it in
// IndexedDB. Where a browser refuses either, nothing is kept and nothing else is harmed.

const KEEP_MS = 24 * 3600 * 1000;
const KEEP_PAUSE_MS = 250;
const CLAIM_MS = 1500;
const KEEP_FORMAT = 1;          // of what is kept; another one does not read it

function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error('blocked'));
  });
}

/** The name of this tab; a copy of a tab has copied its name and gets another. */
async function tabName() {
  const name = sessionStorage.getItem('mobilesam-tab') || '';
  const mine = name && await new Promise((resolve) => {
    if (!navigator.locks) return resolve(true);
    const patience = new AbortController();
    setTimeout(() => patience.abort(), CLAIM_MS);    // a page that is being left lets go soon
    navigator.locks.request('mobilesam-' + name, {signal: patience.signal}, () => {
      resolve(true);
      return new Promise(() => {});                  // as long as the page lives
    }).catch(() => resolve(false));
  });
  if (mine) return name;
  const fresh = Date.now().toString(36) + Math.random().toString(36).slice(2);
  sessionStorage.setItem('mobilesam-tab', fresh);
  if (navigator.locks) navigator.locks.request('mobilesam-' + fresh, () => new Promise(() => {}));
  return fresh;
}

/**
 * Keeps what state() gives, and the photo that is on its way; `load` gives back {file, work} of an
 * earlier page of this tab, or null.
 */
function createKeeper(state) {
  let timer = 0, photoId = '';
  const ready = (async () => {
    const name = await tabName();
    const opening = indexedDB.open('mobilesam', KEEP_FORMAT);
    opening.onupgradeneeded = () => {
      if (opening.result.objectStoreNames.contains('kept')) opening.result.deleteObjectStore('kept');
      opening.result.createObjectStore('kept');
    };
    return {name, base: await promised(opening)};
  })();
  ready.catch(() => {});

  const store = (base, mode) => base.transaction('kept', mode).objectStore('kept');
  async function put(key, value) {
    try {
      const {name, base} = await ready;
      await promised(store(base, 'readwrite').put({...value, at: Date.now()}, name + key));
    } catch (error) { /* a full disk, a private window: then a reload begins anew */ }
  }

  async function remove(key) {
    try {
      const {name, base} = await ready;
      await promised(store(base, 'readwrite').delete(name + key));
    } catch (error) { /* as above */ }
  }

  async function removeOld(base) {
    const kept = store(base, 'readwrite');
    const [keys, values] = await Promise.all([promised(kept.getAllKeys()), promised(kept.getAll())]);
    keys.forEach((key, index) => { if (!(values[index].at > Date.now() - KEEP_MS)) kept.delete(key); });
  }

  function flush() {
    clearTimeout(timer);
    timer = 0;
    if (photoId) put(':work', {photoId, work: state()});
  }

  window.addEventListener('pagehide', () => { if (timer) flush(); });
  document.addEventListener('visibilitychange', () => { if (timer && document.hidden) flush(); });
  return {
    /** A photo is being opened; null: none is any longer. */
    arriving(file) {
      if (file) put(':arriving', {file});
      else remove(':arriving');
    },
    /** Another photo, in place of the one before. */
    photo(file) {
      photoId = Date.now().toString(36) + Math.random().toString(36).slice(2);
      put(':photo', {photoId, file});
      flush();
    },
    /** The work has changed. */
    touch() { if (photoId && !timer) timer = setTimeout(flush, KEEP_PAUSE_MS); },
    async load() {
      try {
        const {name, base} = await ready;
        await removeOld(base);
        const kept = store(base, 'readonly');
        const [arriving, photo, work] = await Promise.all(
          [':arriving', ':photo', ':work'].map((key) => promised(kept.get(name + key))));
        if (arriving) return {file: arriving.file, work: null};
        if (!photo) return null;
        return {file: photo.file, work: work && work.photoId === photo.photoId ? work.work : null};
      } catch (error) {
        return null;
      }
    },
  };
}
