// Keeps the work in this browser: of every photo by its content, so that it comes back in any tab and after days; and the
// set of this tab with its photos, so that a reload brings them back: phones discard pages, browsers crash.
/** @import {TableName} from './database.js' */
import {TABLES, access, openDatabase, settled, tabName} from './database.js';

const DAY_MS = 24 * 3600 * 1000;
const KEEP_DAYS = 30;

export function createWorkStore() {
  const ready = Promise.all([openDatabase(), tabName()]);
  ready.catch(() => {});

  /** Like `access`; rejects where the browser keeps nothing.
   * @template T
   * @param {TableName} name @param {IDBTransactionMode} mode @param {(table: IDBObjectStore) => Promise<T> | void} act */
  async function use(name, mode, act) {
    const [database] = await ready;
    return access(database, name, mode, act);
  }

  /** Reads something; null where there is none, or the browser keeps nothing. @param {TableName} name @param {string} key */
  const read = (name, key) => use(name, 'readonly', async (table) => await settled(table.get(key)) ?? null).catch(() => null);

  /** @type {(name: TableName, key: string, value: object) => Promise<void>} */
  const write = (name, key, value) => use(name, 'readwrite', (table) => { table.put({...value, savedAt: Date.now()}, key); });

  /** Changes every record of a table. @param {TableName} name @param {(value: any) => any} change */
  const changeAll = (name, change) => use(name, 'readwrite', async (table) => {
    const request = table.openCursor();
    for (let cursor = await settled(request); cursor; cursor = await settled(request)) {
      cursor.update(change(cursor.value));
      cursor.continue();
    }
  });

  /** Deletes records by their keys, without reading them.
   * @param {TableName} name @param {(table: IDBObjectStore) => Promise<IDBValidKey[]>} keysOf */
  const remove = (name, keysOf) => use(name, 'readwrite', async (table) => {
    for (const key of await keysOf(table)) table.delete(key);
  });

  async function keepDays() {
    return (await read('settings', 'keep'))?.days ?? KEEP_DAYS;
  }

  return {
    /** What is kept of a photo. @type {(key: string) => Promise<KeptWork | null>} */
    work: (key) => read('works', key),
    /** Keeps the work in a photo; rejects if the browser cannot. @type {(key: string, work: Work) => Promise<void>} */
    saveWork: (key, work) => write('works', key, work),
    /** Changes the kept work in all photos. @param {(work: KeptWork) => KeptWork} change */
    changeWorks: (change) => changeAll('works', change).catch(() => {}),
    /** The masks of a photo's objects at its own size. @type {(key: string) => Promise<any>} */
    masks: (key) => read('masks', key),
    /** @param {string} key @param {object} masks */
    saveMasks: (key, masks) => write('masks', key, masks).catch(() => {}),

    /** @type {(key: string) => Promise<{file: File, thumbnail: Blob | null} | null>} */
    photo: (key) => read('photos', key),
    /** Keeps a photo, in the place of those of other tabs where the disk is full; whether there was room.
     * @param {string} key @param {{file: File, thumbnail: Blob | null}} photo @param {Set<string>} own keys of this tab's photos */
    async savePhoto(key, photo, own) {
      try {
        await write('photos', key, photo).catch(async () => {
          await remove('photos', async (table) => (await settled(table.getAllKeys())).filter((other) => !own.has(String(other))));
          await write('photos', key, photo);
        });
        return true;
      } catch {
        return false;
      }
    },

    /** Keeps which photos this tab has, and which of them is open. @type {(photos: SetPhoto[], current: string) => Promise<void>} */
    saveSet: (photos, current) => ready.then(([, {tab}]) => (
      write('tabs', tab, {current, photos: photos.map(({key, name}) => ({key, name}))}))).catch(() => {}),
    /** The set that an earlier page of this tab had, or the tab of which this is a duplicate.
     * @type {() => Promise<{current: string, photos: {key: string, name: string}[]} | null>} */
    loadSet: () => ready.then(([, {origin}]) => read('tabs', origin), () => null),

    keepDays,
    /** @param {number} days after which work that was not opened again is deleted */
    setKeepDays: (days) => write('settings', 'keep', {days}).catch(() => {}),
    /** What was chosen for exports, by control. @type {() => Promise<Record<string, string | boolean>>} */
    exportOptions: async () => (await read('settings', 'export'))?.options ?? {},
    /** @param {Record<string, string | boolean>} options */
    saveExportOptions: (options) => write('settings', 'export', {options}).catch(() => {}),
    /** Whether the mask under the pointer is to be shown. */
    hasPreview: async () => (await read('settings', 'preview'))?.isOn ?? true,
    /** @param {boolean} isOn */
    setPreview: (isOn) => write('settings', 'preview', {isOn}).catch(() => {}),
    /** The class list. @type {() => Promise<readonly string[]>} */
    classes: async () => (await read('settings', 'classes'))?.names ?? [],
    /** @param {readonly string[]} names */
    saveClasses: (names) => write('settings', 'classes', {names}).catch(() => {}),

    /** Deletes what has not been saved for too long. */
    async removeOld() {
      const oldest = Date.now() - await keepDays() * DAY_MS;
      for (const name of TABLES) {
        if (name === 'settings') continue;
        await remove(name, (table) => settled(table.index('savedAt').getAllKeys(IDBKeyRange.upperBound(oldest)))).catch(() => {});
      }
    },
    /** Deletes everything that the browser has kept, for all tabs. */
    async removeAll() {
      await Promise.all(TABLES.map(
        (name) => use(name, 'readwrite', (table) => { table.clear(); }).catch(() => {})));
    },
  };
}
/** @typedef {ReturnType<typeof createWorkStore>} WorkStore */
