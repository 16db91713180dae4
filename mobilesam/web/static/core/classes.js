// The class list: names in a fixed order, so that each has the same id in all files.
import {PALETTE} from './palette.js';

/** @type {(classes: readonly string[], name: string) => readonly string[]} */
export const withClass = (classes, name) => (!name || classes.includes(name) ? classes : [...classes, name]);

/** The list that begins with given names; its own others follow. @type {(classes: readonly string[], first: readonly string[]) => readonly string[]} */
export const withFirst = (classes, first) => [...first, ...classes.filter((name) => !first.includes(name))];

/** The list with another name for a class; one that is there already takes its place, which is given up.
 * @type {(classes: readonly string[], from: string, to: string) => readonly string[]} */
export const withRenamed = (classes, from, to) => (
  classes.includes(to) ? classes.filter((name) => name !== from) : classes.map((name) => (name === from ? to : name)));

/** The colour of a class, or null for a name that is not in the list. @type {(classes: readonly string[], name: string) => string | null} */
export function classColour(classes, name) {
  const index = classes.indexOf(name);
  return index < 0 ? null : PALETTE[index % PALETTE.length];
}
