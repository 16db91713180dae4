// The photos of a set, in order. Each is known by its content, so that opening a file again finds what was done in it.

/** The photos with some more at the end; those that are there already stay as they are.
 * @type {(photos: SetPhoto[], added: SetPhoto[]) => SetPhoto[]} */
export function withPhotos(photos, added) {
  const keys = new Set(photos.map(({key}) => key));
  return [...photos, ...added.filter(({key}) => !keys.has(key) && keys.add(key))];
}

/** @type {(photos: SetPhoto[], key: string, change: Partial<SetPhoto>) => SetPhoto[]} */
export const withChange = (photos, key, change) => photos.map((photo) => (photo.key === key ? {...photo, ...change} : photo));

/** @type {(photos: SetPhoto[], key: string) => SetPhoto[]} */
export const without = (photos, key) => photos.filter((photo) => photo.key !== key);

/** The photo that comes so many places after one; null beyond the ends.
 * @type {(photos: SetPhoto[], key: string, step: number) => SetPhoto | null} */
export function neighbour(photos, key, step) {
  const index = photos.findIndex((photo) => photo.key === key);
  return (index >= 0 && photos[index + step]) || null;
}

/** @type {(photo: SetPhoto) => 'done' | 'begun' | 'untouched'} */
export const progressOf = ({count, isDone}) => (isDone ? 'done' : count ? 'begun' : 'untouched');
