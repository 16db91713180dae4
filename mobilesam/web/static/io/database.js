// The browser's database of this page: what is done in photos, the photos, the set of every tab, and settings.

const DATABASE = 'mobilesam';
const VERSION = 4;              // of the format; an upgrade deletes what is kept
export const TABLES = /** @type {const} */ (['works', 'masks', 'photos', 'tabs', 'settings']);
const CLAIM_MS = 1500;          // a page that is being left releases its name soon

/** @typedef {typeof TABLES[number]} TableName */

/** @type {<T>(request: IDBRequest<T>) => Promise<T>} */
export const settled = (request) => new Promise((resolve, reject) => {
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

/** The name of this tab, which lives as long as the tab, and the name under which it begins: a duplicated tab has its
 * original's, and gets another one. @returns {Promise<{tab: string, origin: string}>} */
export async function tabName() {
  const name = sessionStorage.getItem(DATABASE + '-tab');
  if (name && await claim(name)) return {tab: name, origin: name};
  const tab = Date.now().toString(36) + Math.random().toString(36).slice(2);
  sessionStorage.setItem(DATABASE + '-tab', tab);
  await claim(tab);
  return {tab, origin: name ?? tab};
}

/** Opens the database; rejects where the browser keeps nothing, or a tab with an older page does not let go of it. */
export async function openDatabase() {
  const request = indexedDB.open(DATABASE, VERSION);
  request.onupgradeneeded = () => {
    const {result} = request;
    for (const name of Array.from(result.objectStoreNames)) result.deleteObjectStore(name);
    for (const name of TABLES) result.createObjectStore(name).createIndex('savedAt', 'savedAt');
  };
  const blocked = new Promise((_, reject) => {
    request.onblocked = () => reject(new Error('Another tab uses a database of an older format.'));
  });
  const opened = settled(request).then((database) => {
    database.onversionchange = () => database.close();  // a newer page in another tab needs another format
    return database;
  });
  return Promise.race([opened, blocked]);
}

/** Does something with a table, and waits until that is on disk.
 * @template T
 * @param {IDBDatabase} database @param {TableName} name @param {IDBTransactionMode} mode
 * @param {(table: IDBObjectStore) => Promise<T> | void} act */
export async function access(database, name, mode, act) {
  const transaction = database.transaction(name, mode);
  const completed = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  completed.catch(() => {});            // where `act` fails first
  const result = await act(transaction.objectStore(name));
  await completed;
  return result;
}
