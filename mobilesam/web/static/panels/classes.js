// The class list: its editor in the dialog for data sets, the suggestions for names, and the class of the next object.
/** @import {Page, PageState} from './page.js' */
import {classColour, withClass, withFirst, withRenamed} from '../core/classes.js';
import {quoted} from '../core/names.js';
import {isNamed} from '../core/objects.js';
import {element} from './page.js';

const KEYS = 9;

/** `rename` renames all objects of a class, in all photos.
 * @param {Page} page
 * @param {{call: Call, load: () => Promise<readonly string[]>, save: (names: readonly string[]) => void,
 *   rename: (from: string, to: string) => void}} options */
export function createClasses({refs, store, limits, buttons}, {call, load, save, rename}) {
  const set = (/** @type {readonly string[]} */ classes) => store.set({classes});
  let former = /** @type {readonly string[]} */ ([]);         // to be restored by Undo

  /** Says what has become of the list, in the dialog. @type {(text: string, before?: readonly string[]) => void} */
  function report(text, before) {
    refs.classStatus.textContent = text;
    former = before ?? [];
    buttons('class-undo')[0].hidden = !before;
  }

  /** Says how a new list changes the numbers of classes. @param {readonly string[]} before */
  function reportNumbers(before, text = '') {
    const now = store.get().classes, moved = before.filter((name, index) => now.includes(name) && now[index] !== name).length;
    const changed = moved ? ` ${moved} ${moved === 1 ? 'class has' : 'classes have'} another number now.` : '';
    report((text + changed).trim(), before);
  }

  /** Makes the name of an object a class, and the default of the next one. @param {string} typed */
  function use(typed) {
    const name = typed.trim();
    if (!name || !isNamed(name)) return;
    store.set({classes: withClass(store.get().classes, name), lastClass: name});
  }

  function renameClass(/** @type {string} */ from, /** @type {string} */ typed) {
    const {classes, lastClass} = store.get(), to = typed.trim();
    if (!to || to === from) return show(store.get());
    const isMerged = classes.includes(to);
    store.set({classes: withRenamed(classes, from, to), lastClass: lastClass === from ? to : lastClass});
    rename(from, to);
    report(isMerged ? `${quoted(from)} was merged into ${quoted(to)}, in all photos.` : `${quoted(from)} is now ${quoted(to)}, in all photos.`);
  }

  function remove(/** @type {string} */ name) {
    const {classes} = store.get();
    set(classes.filter((other) => other !== name));
    reportNumbers(classes, `${quoted(name)} is not in the list any more. Objects with this name keep it.`);
  }

  /** @type {(name: string, index: number) => HTMLElement} */
  function row(name, index) {
    const field = element('input', {type: 'text', value: name, maxLength: limits.max_name, dir: 'auto', ariaLabel: `Name of class ${index + 1}`});
    field.addEventListener('change', () => renameClass(name, field.value));
    const swatch = element('span', {className: 'sam-swatch'});
    swatch.style.background = classColour(store.get().classes, name) ?? '';
    const key = element('kbd', {textContent: index < KEYS ? `Shift ${index + 1}` : ''});
    const cross = element('button', {type: 'button', className: 'sam-close', textContent: '×', ariaLabel: 'Remove ' + name, title: 'Remove from the list'});
    cross.addEventListener('click', () => remove(name));
    return element('li', {}, swatch, element('span', {className: 'sam-id', textContent: String(index + 1)}), field, key, cross);
  }

  function show(/** @type {Pick<PageState, 'classes'>} */ {classes}) {
    refs.classList.replaceChildren(...classes.map(row));
    refs.classNames.replaceChildren(...classes.map((value) => element('option', {value})));
  }

  async function readFile(/** @type {File} */ file) {
    const reply = await call('read_classes', {text: await file.text(), name: file.name});
    if (!reply.ok) return report(reply.error);
    const {classes} = store.get();
    set(withFirst(classes, reply.names));
    reportNumbers(classes, `${reply.names.length} classes were read.`);
  }

  /** Another tab may have changed the list. */
  async function catchUp() {
    const names = await load();
    if (names.length) set(withFirst(store.get().classes, names));
  }

  window.addEventListener('focus', catchUp);
  refs.classForm.addEventListener('submit', (event) => {
    event.preventDefault();
    set(withClass(store.get().classes, refs.className.value.trim()));
    refs.className.value = '';
  });
  refs.classFile.addEventListener('change', () => {
    if (refs.classFile.files?.[0]) readFile(refs.classFile.files[0]);
    refs.classFile.value = '';
  });
  store.subscribe((state, previous) => {
    if (state.classes.join('\n') === previous.classes.join('\n')) return;
    show(state);
    save(state.classes);
  });

  return {
    use,
    colour: (/** @type {string} */ name) => classColour(store.get().classes, name),
    /** The class of the next object, which is that of the last one. */
    get next() {
      const {classes, lastClass} = store.get();
      return classes.includes(lastClass) ? lastClass : '';
    },
    restore: catchUp,
    /** Adds classes in the place of those of a project. @param {readonly string[]} names */
    useAll: (names) => set(withFirst(store.get().classes, names)),
    commands: {
      'class-load': () => refs.classFile.click(),
      'class-undo': () => { set(former); report(''); },
    },
  };
}
