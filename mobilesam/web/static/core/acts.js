// What Undo takes back beside clicks: deleted, kept, renamed and added objects. The last one comes first.

const MAX_ACTS = 200;

/** What takes an act back, and the interactions when it was done. One with an `objectId` counts only while that object is
 * edited. @typedef {{undo: () => void, interactions: Interaction[], objectId?: number}} Act */

/** The acts and one more. @type {(acts: Act[], act: Act) => Act[]} */
export const withAct = (acts, act) => [...acts, act].slice(-MAX_ACTS);

/** The acts that count while an object is edited. @type {(acts: Act[], activeId: number) => Act[]} */
export const actsFor = (acts, activeId) => acts.filter(({objectId}) => objectId === undefined || objectId === activeId);

/** The act that Undo takes back now; null where users have clicked since.
 * @type {(state: {acts: Act[], interactions: Interaction[], canUndo: boolean}) => Act | null} */
export function lastAct({acts, interactions, canUndo}) {
  const act = acts.at(-1);
  return act && (act.interactions === interactions || !canUndo) ? act : null;
}
