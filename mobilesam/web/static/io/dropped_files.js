// Files in what was dropped, those in folders included.

/** @type {(entry: FileSystemFileEntry) => Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => { entry.file(resolve, reject); });

/** @type {(reader: FileSystemDirectoryReader) => Promise<FileSystemEntry[]>} */
const nextEntries = (reader) => new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });

/** @type {(entry: FileSystemEntry) => Promise<File[]>} */
async function filesIn(entry) {
  if (entry.isFile) return [await fileOf(/** @type {FileSystemFileEntry} */ (entry))];
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader(), entries = [];
  for (let more = await nextEntries(reader); more.length; more = await nextEntries(reader)) entries.push(...more);
  const files = [];
  for (const one of entries) files.push(...await filesIn(one));
  return files;
}

const isHidden = (/** @type {File} */ {name}) => name.startsWith('.');
/** A folder contains other files too, which nobody chose. @param {File} file */
const isUsable = ({name, type}) => type.startsWith('image/') || /\.(tiff?|heic|heif|avif|json|txt|zip|yaml|yml|mobilesam)$/i.test(name);
const byPath = new Intl.Collator('en', {numeric: true});

/** Those of the files in a folder that the page can use, in the order of their names. @param {Iterable<File>} files */
export const usableFiles = (files) => Array.from(files).filter((file) => isUsable(file) && !isHidden(file))
  .sort((a, b) => byPath.compare(a.webkitRelativePath || a.name, b.webkitRelativePath || b.name));

/** The files that were dropped. It must be called during the event; rejects if a folder cannot be read.
 * @type {(transfer: DataTransfer) => Promise<File[]>} */
export async function droppedFiles(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  const loose = Array.from(transfer.files);
  if (!entries.some(({isDirectory}) => isDirectory)) return loose;
  const found = [];
  for (const entry of entries) {
    const files = await filesIn(entry);
    found.push(...(entry.isDirectory ? usableFiles(files) : files));
  }
  return found;
}
