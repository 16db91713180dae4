// A project in one file: a line of JSON with the classes and the work in every photo; the photos follow, if wanted, one
// after the other. So nothing has to be held in memory or packed.
import {PALETTE} from './palette.js';

const FORMAT = 'mobilesam-project', VERSION = 1;
const MAX_HEADER_BYTES = 500e6;
const BAD = 'This file is no project of this page, or it is damaged.';
const MAX_TEXT = 2000, MAX_CLASSES = 1000, MAX_ID = 1e9;

/** A photo in a project; the file is null if only the work in it is there, size and work if it was never opened.
 * @typedef {{key: string, name: string, size: [height: number, width: number] | null, isDone: boolean, work: ObjectsSnapshot | null,
 *   file: File | null}} ProjectPhoto */
/** @typedef {{classes: readonly string[], photos: ProjectPhoto[]}} Project */

/** @type {(project: Project) => Blob} */
export function writeProject({classes, photos}) {
  const header = {
    format: FORMAT, version: VERSION, classes,
    photos: photos.map(({file, ...photo}) => ({...photo, bytes: file?.size ?? 0, type: file?.type ?? ''})),
  };
  return new Blob([JSON.stringify(header), '\n', ...photos.flatMap(({file}) => file ?? [])], {type: 'application/octet-stream'});
}

/** @type {(value: any, isRight?: boolean) => any} */
function ensure(value, isRight = Boolean(value)) {
  if (!isRight) throw new Error(BAD);
  return value;
}
const isCount = (/** @type {any} */ value) => Number.isSafeInteger(value) && value >= 0;
const isNumber = (/** @type {any} */ value) => Number.isFinite(value);
const text = (/** @type {any} */ value, most = MAX_TEXT) => ensure(value, typeof value === 'string' && value.length <= most);
/** @type {(value: any) => any} */
const list = (value) => ensure(value, Array.isArray(value));
const estimate = (/** @type {any} */ value) => ensure(value ?? null, value === null || value === undefined || isNumber(value));

/** @type {(value: any) => Rle} */
function rleOf(value) {
  const size = list(value?.size);
  ensure(size, size.length === 2 && size.every(isCount));
  return {size, counts: text(value.counts, 20e6)};
}

/** @type {(value: any, ...names: string[]) => any} */
const numbers = (value, ...names) => Object.fromEntries(names.map((name) => [name, ensure(value[name], isNumber(value[name]))]));
/** @type {(value: any, length: number) => any} */
const row = (value, length) => ensure(value, Array.isArray(value) && value.length === length && value.every(isNumber));

/** @type {(value: any) => Interaction} */
function interactionOf(value) {
  switch (value?.type) {
    case 'mask': return {type: 'mask', rle: rleOf(value.rle)};
    case 'point': return {type: 'point', ...numbers(value, 'x', 'y', 'label')};
    case 'candidate': return {type: 'candidate', ...numbers(value, 'index')};
    case 'box': case 'crop': return {type: value.type, box: row(value.box, 4)};
    case 'stroke': return {type: 'stroke', path: list(value.path).map((/** @type {any} */ point) => row(point, 2)), ...numbers(value, 'radius', 'label')};
    default: return ensure(null);
  }
}

/** @type {(value: any) => Reply | null} */
const replyOf = (value) => value && {
  rle: rleOf(value.rle), coverage: ensure(value.coverage, isNumber(value.coverage)), index: ensure(value.index, isCount(value.index)),
  predicted_iou: estimate(value.predicted_iou), ms: 0,
  candidates: list(value.candidates).map((/** @type {any} */ one) => ({rle: rleOf(one.rle), predicted_iou: estimate(one.predicted_iou)})),
};

/** @type {(value: any) => UndoState} */
function undoOf(value) {
  const states = list(value?.states).map((/** @type {any} */ state) => list(state).map(interactionOf));
  return {states, index: ensure(value.index, isCount(value.index) && value.index < states.length)};
}

/** @type {(value: any) => PhotoObject} */
function objectOf(value) {
  const {id, name, colour, visible, clean, reply, undo, original, predicted_iou} = ensure(value);
  return {
    id: ensure(id, isCount(id) && id < MAX_ID), name: text(name), colour: /^#[0-9a-f]{6}$/i.test(colour) ? colour : PALETTE[0],
    visible: Boolean(visible), clean: Boolean(clean), reply: replyOf(reply), undo: undoOf(undo),
    original: original && {undo: undoOf(original.undo), reply: replyOf(original.reply), clean: Boolean(original.clean)},
    predicted_iou: estimate(predicted_iou),
  };
}

/** @type {(value: any) => ObjectsSnapshot} */
function workOf(value) {
  const items = list(value?.items).map(objectOf), active = ensure(value.active, isCount(value.active));
  const exclusive = ['later', 'predicted_iou'].includes(value.exclusive) ? value.exclusive : null;
  ensure(items, items.length > 0);
  return {items, active, exclusive};
}

/** Reads a file that anybody may have written. Rejects with a sentence. @type {(file: File) => Promise<Project>} */
export async function readProject(file) {
  const chunk = 1 << 16;
  let end = -1, at = 0;
  for (; end < 0 && at < Math.min(file.size, MAX_HEADER_BYTES); at += chunk) {
    const found = new Uint8Array(await file.slice(at, at + chunk).arrayBuffer()).indexOf(10);
    if (found >= 0) end = at + found;
  }
  if (end < 0) end = file.size;
  let header;
  try {
    header = JSON.parse(await file.slice(0, end).text());
  } catch {
    throw new Error(BAD);
  }
  ensure(header?.format === FORMAT);
  if (header.version !== VERSION) throw new Error('This project was saved by a newer version of this page. Reload the page.');
  let offset = end + 1;
  const photos = list(header.photos).map((/** @type {any} */ photo) => {
    const {key, name, size, isDone, work, bytes, type} = ensure(photo);
    ensure(header, isCount(bytes) && (!bytes || offset + bytes <= file.size));
    const content = bytes ? new File([file.slice(offset, offset + bytes)], text(name), {type: text(type)}) : null;
    offset += bytes;
    ensure(size, size === null || (Array.isArray(size) && size.length === 2 && size.every(isCount)));
    return {key: text(key), name: text(name), size, isDone: Boolean(isDone), work: size && workOf(work), file: content};
  });
  ensure(header, list(header.classes).length <= MAX_CLASSES);
  return {classes: header.classes.map((/** @type {any} */ name) => text(name)), photos};
}

/** Whether a file claims to be a project. @param {{name: string}} file */
export const isProjectFile = ({name}) => /\.mobilesam$/i.test(name);
