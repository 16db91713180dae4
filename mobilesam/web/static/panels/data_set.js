// The dialog for what concerns all photos: export them as one data set, save and open projects, and what the browser keeps.
/** @import {Project, ProjectPhoto} from '../core/project_file.js' */
/** @import {Page} from './page.js' */
import {exportedObjects, isNamed} from '../core/objects.js';
import {readProject, writeProject} from '../core/project_file.js';

const VERTICES_DELAY_MS = 300;

/** `work` returns what is kept of a photo, `fileOf` its file; `restore` adds the photos of a project with the work in them.
 * @param {Page} page
 * @param {{ask: Call, exportDataSet: ExportDataSet, saveFile: (reply: any) => void, saveBlob: (blob: Blob, name: string) => void,
 *   work: (key: string) => Promise<Work | null>, fileOf: (key: string) => Promise<File | null>,
 *   restore: (photos: ProjectPhoto[]) => Promise<void>, useClasses: (names: readonly string[]) => void,
 *   keepDays: () => Promise<number>, setKeepDays: (days: number) => void,
 *   exportOptions: () => Promise<Record<string, string | boolean>>,
 *   saveExportOptions: (options: Record<string, string | boolean>) => void}} options */
export function createDataSet({refs, store, fail}, {
  ask, exportDataSet, saveFile, saveBlob, work, fileOf, restore, useClasses, keepDays, setKeepDays, exportOptions, saveExportOptions,
}) {
  const {setFormat, setTolerance, setTrain, setVal, setTest, setSeed, setPhotos, projectPhotos} = refs;
  const chosenOptions = {setFormat, setTolerance, setTrain, setVal, setTest, setSeed, setPhotos, projectPhotos};
  let exports = 0;              // a newer one, or Stop, ends the one before
  let timer = 0;

  /** Objects without a name of their own have no class. */
  const objectsOf = (/** @type {Work} */ kept) => exportedObjects(kept.work).map(
    (object) => ({...object, name: isNamed(object.name) ? object.name : ''}));

  const tolerance = () => Number(refs.setTolerance.value);

  /** Shows how many vertices the polygons in the open photo have. */
  async function showVertices() {
    const {photo, objects} = store.get(), asked = tolerance();
    refs.setVertices.textContent = '';
    if (!refs.set.open || !photo || !objects.length) return;
    const kept = await work(photo.key), query = kept && {objects: exportedObjects(kept.work), exclusive: kept.work.exclusive};
    const reply = query && await ask('masks', {...query, tolerance: asked});
    if (!reply || !reply.ok || tolerance() !== asked || !reply.vertices) return;
    const [exact, simplified] = reply.vertices, count = (/** @type {number} */ n) => n.toLocaleString('en');
    refs.setVertices.textContent = asked ? `${count(exact)} vertices in this photo become ${count(simplified)}.`
      : `${count(exact)} vertices in this photo.`;
  }

  function options() {
    const split = [refs.setTrain, refs.setVal, refs.setTest].map(({valueAsNumber}) => valueAsNumber || 0);
    return {
      format: refs.setFormat.value, classes: store.get().classes, split, seed: refs.setSeed.valueAsNumber || 0,
      tolerance: tolerance(), withPhotos: refs.setPhotos.checked,
    };
  }

  /** @type {(key: string) => Promise<PhotoToExport>} */
  async function photoOf(key) {
    const [kept, file] = await Promise.all([work(key), fileOf(key)]);
    if (!kept) throw new Error('The work in this photo is gone from the browser. Open the photo and select its objects again.');
    const {name, size} = kept;
    return {key, name, size, file, objects: objectsOf(kept), exclusive: kept.work.exclusive};
  }

  /** The photos to export: those with objects, and those that are done without any. */
  const chosen = () => store.get().photos.filter(({count, isDone}) => count || isDone);

  function setRunning(/** @type {boolean} */ isRunning, text = '') {
    refs.set.dataset.running = isRunning ? 'yes' : 'no';
    refs.setProgress.textContent = text;
    if (text) refs.setProgress.scrollIntoView({block: 'nearest'});       // in a low window
  }

  async function run() {
    const mine = ++exports, photos = chosen();
    if (!photos.length) return setRunning(false, 'No photo has objects yet. Keep an object, or mark a photo as done.');
    const total = photos.length, isWanted = () => mine === exports;
    const text = (/** @type {number} */ done, more = '') => (done < total ? `Photo ${done + 1} of ${total}. ${more}` : 'Finishing the file…');
    setRunning(true, text(0));
    const result = await exportDataSet(options(), photos, photoOf,
      (done, more) => { if (isWanted()) setRunning(true, text(done, more)); }, isWanted);
    if (!result || !isWanted()) return;
    const {reply, failures} = result;
    const left = failures.length ? ` ${failures.length} could not be included: ${failures.map(({name, error}) => `${name} (${error})`).join(', ')}` : '';
    if (!reply.ok) return setRunning(false, reply.error + left);
    saveFile(reply);
    setRunning(false, `Saved ${reply.photos} ${reply.photos === 1 ? 'photo' : 'photos'} with ${reply.objects} ${reply.objects === 1 ? 'object' : 'objects'}.${left}`);
  }

  function stop() {
    exports++;
    setRunning(false, 'Stopped.');
  }

  async function saveProject() {
    const {photos, classes} = store.get();
    const found = await Promise.all(photos.map(async ({key, name, isDone}) => {
      const kept = await work(key), file = refs.projectPhotos.checked ? await fileOf(key) : null;
      return {key, name, size: kept?.size ?? null, isDone, work: kept?.work ?? null, file};
    }));
    saveBlob(writeProject({classes, photos: found}), `project-${new Date().toISOString().slice(0, 10)}.mobilesam`);
  }

  async function openProject(/** @type {File} */ file) {
    refs.set.close();           // what follows shows on the page
    try {
      const {classes, photos} = await readProject(file);
      useClasses(classes);
      store.set({alert: {text: `The project has ${photos.length} ${photos.length === 1 ? 'photo' : 'photos'}.`, kind: 'note'}});
      await restore(photos);
    } catch (error) {
      fail(/** @type {Error} */ (error).message);
    }
  }

  async function show() {
    const kept = await exportOptions();
    for (const [name, control] of Object.entries(chosenOptions)) {
      if (!(name in kept)) continue;
      if (control.type === 'checkbox') /** @type {HTMLInputElement} */ (control).checked = Boolean(kept[name]);
      else control.value = String(kept[name]);
    }
    refs.set.showModal();
    refs.setProgress.textContent = '';
    refs.keepDays.value = String(await keepDays());
    showVertices();
  }

  refs.projectFile.addEventListener('change', () => {
    if (refs.projectFile.files?.[0]) openProject(refs.projectFile.files[0]);
    refs.projectFile.value = '';
  });
  for (const control of Object.values(chosenOptions)) {
    control.addEventListener('change', () => saveExportOptions(Object.fromEntries(Object.entries(chosenOptions).map(
      ([name, one]) => [name, one.type === 'checkbox' ? /** @type {HTMLInputElement} */ (one).checked : one.value]))));
  }
  refs.keepDays.addEventListener('change', () => setKeepDays(Number(refs.keepDays.value)));
  refs.setTolerance.addEventListener('change', () => {
    clearTimeout(timer);
    timer = setTimeout(showVertices, VERTICES_DELAY_MS);
  });

  return {
    openProject,
    commands: {
      'set': show, 'set-close': () => refs.set.close(), 'set-export': run, 'set-stop': stop,
      'project-save': saveProject, 'project-open': () => refs.projectFile.click(),
    },
  };
}
