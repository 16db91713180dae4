// @ts-check
// What this tab works on, kept in the browser, so that a reload brings it back: Gradio reloads the page
// when the network fails, phones discard pages in the background, browsers crash. The tab's name is in
// sessionStorage, which lives as long as the tab; photo and work are in IndexedDB under that name.

const DATABASE = 'mobilesam';
const TABLE = 'kept';
const FORMAT = 2;               // of what is kept; work in another format is not read
const MAX_AGE_MS = 24 * 3600 * 1000;
const SAVE_DELAY_MS = 250;
const CLAIM_MS = 1500;          // a page that is being left releases its name soon

const newId = () => Date.now().toString(36) + Math.random().toString(36).slice(2);

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Claims a name for as long as the page lives; whether no other page has it. @type {(name: string) => Promise<boolean>} */
function claim(name) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    const patience = new AbortController();
    setTimeout(() => patience.abort(), CLAIM_MS);
    navigator.locks.request(DATABASE + '-' + name, {signal: patience.signal}, () => {
      resolve(true);
      return new Promise(() => {});
    }).catch(() => resolve(false));
  });
}

/** The name of this tab; a duplicated tab has its original's name and gets another. */
async function tabName() {
  const name = sessionStorage.getItem(DATABASE + '-tab');
  if (name && await claim(name)) return name;
  const fresh = newId();
  sessionStorage.setItem(DATABASE + '-tab', fresh);
  await claim(fresh);
  return fresh;
}

async function openDatabase() {
  const request = indexedDB.open(DATABASE, FORMAT);
  request.onupgradeneeded = () => {
    if (request.result.objectStoreNames.contains(TABLE)) request.result.deleteObjectStore(TABLE);
    request.result.createObjectStore(TABLE);
  };
  return settled(request);
}

/** @param {IDBObjectStore} table */
async function removeOld(table) {
  const [keys, values] = await Promise.all([settled(table.getAllKeys()), settled(table.getAll())]);
  keys.forEach((key, k) => { if (!(values[k].savedAt > Date.now() - MAX_AGE_MS)) table.delete(key); });
}

/** @param {() => any} currentWork - what to keep of the open photo */
export function createSessionStore(currentWork) {
  let timer = 0, photoId = '';
  const ready = Promise.all([tabName(), openDatabase()]);
  ready.catch(() => {});

  /**
   * Does something with the table; null where the browser keeps nothing (a full disk, a private window).
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(table: IDBObjectStore, tab: string) => T | Promise<T>} act
   */
  async function access(mode, act) {
    try {
      const [tab, database] = await ready;
      return await act(database.transaction(TABLE, mode).objectStore(TABLE), tab);
    } catch {
      return null;
    }
  }

  /** @param {string} key @param {object} value */
  const put = (key, value) => access('readwrite', (table, tab) => settled(table.put({...value, savedAt: Date.now()}, tab + key)));

  function save() {
    clearTimeout(timer);
    timer = 0;
    if (photoId) put(':work', {photoId, work: currentWork()});
  }

  window.addEventListener('pagehide', () => { if (timer) save(); });
  document.addEventListener('visibilitychange', () => { if (timer && document.hidden) save(); });
  return {
    /** A photo is being opened; null: none is any longer. @param {File | null} file */
    setOpening(file) {
      if (file) put(':opening', {file});
      else access('readwrite', (table, tab) => settled(table.delete(tab + ':opening')));
    },
    /** Another photo replaces the one before. @param {File} file */
    setPhoto(file) {
      photoId = newId();
      put(':photo', {photoId, file});
      save();
    },
    /** The work has changed; it is saved soon. */
    touch() { if (photoId && !timer) timer = setTimeout(save, SAVE_DELAY_MS); },
    /**
     * What an earlier page of this tab worked on: the photo, and what `currentWork` gave for it or null.
     * @returns {Promise<{file: File, work: any} | null>}
     */
    async load() {
      await access('readwrite', removeOld);
      const kept = await access('readonly', (table, tab) => Promise.all(
        [':opening', ':photo', ':work'].map((key) => settled(table.get(tab + key)))));
      if (!kept) return null;
      const [opening, photo, work] = kept;
      if (opening) return {file: opening.file, work: null};
      if (!photo) return null;
      return {file: photo.file, work: work && work.photoId === photo.photoId ? work.work : null};
    },
  };
}
