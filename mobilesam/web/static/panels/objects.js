// The objects of the open photo: keep, edit, export and load them; another photo saves them.
/** @import {Editor} from './editor.js' */
/** @import {Page} from './page.js' */
import {isInside} from '../core/geometry.js';
import {createObjects} from '../core/objects.js';
import {createObjectList} from './object_list.js';

/** `reopen` opens a photo with its objects.
 * @param {Page} page @param {Editor} editor
 * @param {{downloads: {save: (query: object) => Promise<boolean>, loadMasks: (file: File) => Promise<any>},
 *   onChange: () => void, reopen: (file: File, snapshot: ObjectsSnapshot) => void}} options */
export function createObjectsPanel(page, {undoStack, stage, showReply, whenAnswered}, {downloads, onChange, reopen}) {
  const {refs, store, limits, fail, tell} = page;

  function changed() {
    const {items, active, exclusive, drawn} = objects;
    stage.setObjects(drawn, exclusive);
    store.set({objects: items, activeId: active.id, exclusive});
    onChange();
  }

  const objects = createObjects({
    undoStack, maxObjects: limits.max_objects, onChange: changed, onShow: showReply,
    onFull: () => fail(`A photo can have up to ${limits.max_objects} objects. Export them, then delete some.`),
  });

  const edit = (/** @type {number} */ id) => whenAnswered(() => objects.edit(id));
  createObjectList(page, {
    edit, rename: objects.rename, toggle: objects.toggle,
    remove(id) {
      const item = objects.remove(id);
      if (item) tell(`Deleted “${item.name}”.`, objects.restoreRemoved);
    },
  });

  function add(/** @type {{rle: Rle, predicted_iou: number | null, name?: string}[]} */ masks, verb = 'kept') {
    const undo = objects.add(masks);
    if (undo) tell(`${masks.length} ${masks.length === 1 ? 'object was' : 'objects were'} ${verb}.`, undo);
  }

  async function load(/** @type {File} */ file) {
    const photo = store.get().photo?.file;
    if (!photo) return fail('Open the photo first, then load its masks.');
    const masks = await downloads.loadMasks(file);
    if (!masks || store.get().photo?.file !== photo) return;
    page.clearAlert();
    add(masks, 'loaded');
  }

  async function saveAll() {
    const {exported, exclusive} = objects;
    if (await downloads.save({objects: exported, exclusive, kind: refs.format.value})) objects.markSaved();
  }

  /** Edits the object under the crosshair or the pointer. */
  function editThere() {
    const {photo} = store.get(), {target} = stage;
    const id = photo && target && isInside(target, photo) ? objects.idAt(target, photo) : null;
    if (id !== null) edit(id);
  }

  for (const control of [refs.exclusive, refs.winner]) {
    control.addEventListener('change', () => {
      objects.exclusive = refs.exclusive.checked ? /** @type {Exclusive} */ (refs.winner.value) : null;
    });
  }
  refs.maskFile.addEventListener('change', () => {
    if (refs.maskFile.files?.[0]) load(refs.maskFile.files[0]);
    refs.maskFile.value = '';
  });

  return {
    objects, add, load,
    /** Call it before another photo replaces the open one, and its result afterwards. */
    leavePhoto() {
      const {photo} = store.get();
      if (!photo || !objects.isUnsaved) return () => store.set({note: null});
      const {file} = photo, snapshot = objects.snapshot();
      return () => tell(`Objects of “${file.name}” saved.`, () => reopen(file, snapshot), 'Go back');
    },
    commands: {
      'next': () => whenAnswered(objects.next), 'edit': editThere, 'save-all': saveAll,
      'load-masks': () => refs.maskFile.click(),
    },
  };
}
