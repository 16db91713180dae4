// The strip of the photos: a thumbnail each, with the number of its objects and whether it is done.
/** @import {Page} from './page.js' */
import {progressOf} from '../core/photo_set.js';
import {element} from './page.js';

const PROGRESS = {untouched: 'not begun', begun: 'in progress', done: 'done'};

/** @param {Page} page @param {{choose: (key: string) => unknown, remove: (key: string) => void}} actions */
export function createPhotoStrip({refs, store, buttons}, {choose, remove}) {
  const items = /** @type {Map<string, ReturnType<typeof createItem>>} */ (new Map());

  function createItem(/** @type {string} */ key) {
    const picture = element('img', {alt: '', draggable: false, hidden: true}), label = element('span', {className: 'sam-photo-label'});
    const button = element('button', {type: 'button', className: 'sam-photo', onclick: () => choose(key)}, picture, label);
    const cross = element('button', {type: 'button', className: 'sam-close', textContent: '×', onclick: () => remove(key)});
    return {
      item: element('li', {}, button, cross), button, picture, label, cross, url: '', shown: /** @type {SetPhoto | null} */ (null), isShown: false,
    };
  }

  /** @param {ReturnType<typeof createItem>} parts @param {SetPhoto} photo @param {boolean} isShown */
  function update(parts, photo, isShown) {
    if (photo === parts.shown && isShown === parts.isShown) return;
    const {item, button, picture, label, cross, shown} = parts, progress = progressOf(photo);
    const objects = photo.count + (photo.count === 1 ? ' object' : ' objects'), text = `${photo.name}, ${objects}, ${PROGRESS[progress]}`;
    item.dataset.progress = progress;
    button.ariaCurrent = isShown ? 'true' : null;
    button.title = button.ariaLabel = text;
    label.textContent = photo.isDone ? `✓ ${photo.count}` : String(photo.count);
    cross.title = cross.ariaLabel = 'Remove ' + photo.name + ' from the set';
    Object.assign(parts, {shown: photo, isShown});
    if (photo.thumbnail === (shown?.thumbnail ?? null)) return;
    URL.revokeObjectURL(parts.url);
    parts.url = photo.thumbnail ? URL.createObjectURL(photo.thumbnail) : '';
    picture.src = parts.url;
    picture.hidden = !photo.thumbnail;
  }

  /** Scrolls the strip, and not the page. */
  function reveal(/** @type {HTMLElement} */ item) {
    const strip = refs.photoList.getBoundingClientRect(), {left, right} = item.getBoundingClientRect();
    refs.photoList.scrollLeft += Math.min(0, left - strip.left) + Math.max(0, right - strip.right);
  }

  store.subscribe(({photos, photo, shownKey}, previous) => {
    buttons('photo-done').forEach((button) => {
      button.ariaPressed = String(photos.some(({key, isDone}) => key === photo?.key && isDone));
    });
    const index = photos.findIndex(({key}) => key === shownKey);
    buttons('photo-previous').forEach((button) => { button.disabled = index <= 0; });
    buttons('photo-next').forEach((button) => { button.disabled = index < 0 || index === photos.length - 1; });
    if (photos === previous.photos && shownKey === previous.shownKey) return;
    refs.photos.hidden = photos.length < 2;
    const done = element('span', {className: 'sam-large', textContent: `, ${photos.filter(({isDone}) => isDone).length} done`});
    refs.photoCount.replaceChildren(`${index + 1} of ${photos.length}`, done);
    const wanted = new Set(photos.map(({key}) => key));
    for (const [key, {item, url}] of items) {
      if (wanted.has(key)) continue;
      item.remove();
      URL.revokeObjectURL(url);
      items.delete(key);
    }
    photos.forEach((one, at) => {
      const parts = items.get(one.key) ?? createItem(one.key), isShown = one.key === shownKey;
      items.set(one.key, parts);
      const there = refs.photoList.children[at];
      if (there !== parts.item) refs.photoList.insertBefore(parts.item, there ?? null);
      update(parts, one, isShown);
      if (isShown && shownKey !== previous.shownKey) reveal(parts.item);
    });
  });
}
