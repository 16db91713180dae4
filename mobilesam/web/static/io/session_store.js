// Keeps the photo and the work of this tab in the browser, so that a reload brings them back: phones discard
// pages in the background, browsers crash. The tab's name is in sessionStorage, which lives as long as the
// tab; photo and work are in IndexedDB under that name.

const DATABASE = 'mobilesam';
const TABLE = 'kept';
const VERSION = 2;              // of the format; an upgrade deletes what is kept
const MAX_AGE_MS = 24 * 3600 * 1000;
const SAVE_DELAY_MS = 250;
const CLAIM_MS = 1500;          // a page that is being left releases its name soon

const newId = () => Date.now().toString(36) + Math.random().toString(36).slice(2);

/** @type {<T>(request: IDBRequest<T>) => Promise<T>} */
const settled = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

/** Claims a name as long as the page lives; false if another page has it. @type {(name: string) => Promise<boolean>} */
function claim(name) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    navigator.locks.request(DATABASE + '-' + name, {signal: AbortSignal.timeout(CLAIM_MS)}, () => {
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

async function openDatabase() {           // asynchronous, so that an exception is a rejection
  const request = indexedDB.open(DATABASE, VERSION);
  request.onupgradeneeded = () => {
    if (request.result.objectStoreNames.contains(TABLE)) request.result.deleteObjectStore(TABLE);
    request.result.createObjectStore(TABLE);
  };
  return settled(request);
}

async function removeOld(/** @type {IDBObjectStore} */ table) {
  const [keys, values] = await Promise.all([settled(table.getAllKeys()), settled(table.getAll())]);
  keys.forEach((key, k) => { if (!(values[k].savedAt > Date.now() - MAX_AGE_MS)) table.delete(key); });
}

/** @param {() => any} currentWork the work to keep of the open photo */
export function createSessionStore(currentWork) {
  let timer = 0, photoId = '';
  const ready = Promise.all([tabName(), openDatabase()]);
  ready.catch(() => {});

  /** Does something with the table; null if the browser keeps nothing (a full disk, a private window).
   * @template T
   * @param {IDBTransactionMode} mode @param {(table: IDBObjectStore, tab: string) => T | Promise<T>} act */
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
    /** Keeps the photo that is being opened; null: there is none. @param {File | null} file */
    setOpening(file) {
      if (file) put(':opening', {file});
      else access('readwrite', (table, tab) => settled(table.delete(tab + ':opening')));
    },
    /** Keeps the photo that was opened instead of the one before. @param {File} file */
    setPhoto(file) {
      photoId = newId();
      put(':photo', {photoId, file});
      save();
    },
    /** Saves the work soon. */
    touch() { if (photoId && !timer) timer = setTimeout(save, SAVE_DELAY_MS); },
    /** What an earlier page of this tab has kept: a photo, and its work or null. */
    async load() {
      await access('readwrite', removeOld);
      const [opening, photo, work] = await access('readonly', (table, tab) => Promise.all(
        [':opening', ':photo', ':work'].map((key) => settled(table.get(tab + key))))) ?? [];
      if (opening) return {file: opening.file, work: null};
      return photo ? {file: photo.file, work: work?.photoId === photo.photoId ? work.work : null} : null;
    },
  };
}
