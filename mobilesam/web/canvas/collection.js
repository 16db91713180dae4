// The objects at work in the page: their list, their masks on the stage, their files, and what is kept
// of them for a reload.

/**
 * Wires the objects to the page.
 *   history, stage: of the page
 *   photo(): the open one, or null; isFree(): whether nothing is under way that work must wait for
 *   whenAnswered(act): does it once the mask on the stage is that of the clicks so far
 *   onShow(reply): the mask of an object that is taken up; onChange(): buttons may change
 *   reopen, busy, fail, openFile: as in main.js; calm(): there is no error any longer
 */
function createCollection(root, part, {history, stage, photo, isFree, whenAnswered, onShow, onChange, reopen, busy, fail, calm, openFile}) {
  const most = props.limits.max_objects;
  const note = createNote(part, onChange);
  let noted = null;             // the clicks when the note came: what is done after them is undone first
  const objects = createObjects({
    history, most, onShow,
    onChange() {
      stage.setObjects(objects.layer, objects.keep);
      list.show(objects);
      root.dataset.objects = objects.items.length;
      keeper.touch();
      onChange();
    },
    onFull: () => fail('A photo takes ' + most + ' objects; download them and delete some.'),
  });
  const list = createObjectList(part, {
    onTakeUp: (id) => whenAnswered(() => objects.takeUp(id)),
    onRename: objects.rename,
    onToggle: objects.toggle,
    onRemove(id) {
      const item = objects.remove(id);
      if (item) tell('Deleted “' + item.name + '”.', objects.undelete);
    },
  });
  const keeper = createKeeper(objects.state);
  const downloads = createDownloads({token: () => photo() && photo().token, reopen, busy, fail});
  let pointer = null;

  /** Says what has been done to the list, and offers to undo it. */
  function tell(text, undo) {
    noted = history.actions;
    note.show(text, 'Undo', undo);
  }

  /** Takes up the object under the crosshair or the pointer. */
  function takeUpThere() {
    const place = photo() && (stage.crosshair.place || (pointer && stage.placeAt(pointer)));
    const id = place && isInside(place, photo()) ? objects.idAt(place, photo()) : null;
    if (id !== null) whenAnswered(() => objects.takeUp(id));
  }

  async function load(file) {
    if (!isFree()) return;
    const mine = photo() && photo().file;
    const masks = await downloads.load(file, stage.maskSide);
    const undo = masks && photo().file === mine && objects.add(masks);
    if (!undo) return;
    calm();
    tell(counted(masks, 'loaded'), undo);
  }

  const counted = ({length}, done) => length + (length === 1 ? ' object was ' : ' objects were ') + done + '.';

  async function saveAll() {
    const {exported, keep} = objects;
    if (!exported.length || !isFree()) return;
    if (await downloads.save({objects: exported, exclusive: keep, kind: part.format.value})) objects.markSaved();
  }

  part.marks.addEventListener('pointermove', (event) => { pointer = spotOf(event, part.marks); });
  part.marks.addEventListener('pointerleave', () => { pointer = null; });
  for (const control of [part.exclusive, part.winner]) {
    control.addEventListener('change', () => { objects.keep = part.exclusive.checked ? part.winner.value : null; });
  }
  part['masks-file'].addEventListener('change', () => {
    load(part['masks-file'].files[0]);
    part['masks-file'].value = '';
  });

  return {
    get canKeep() { return objects.canKeep; },
    get canSaveAll() { return objects.exported.length > 0; },
    answered: objects.answered,
    /** Keeps masks as objects, and offers to take that back. */
    add(masks) {
      const undo = objects.add(masks);
      if (undo) tell(counted(masks, 'kept'), undo);
    },
    /** Whether the list is what undo is about: it is, unless there were clicks after. */
    get canUndo() { return note.canUndo && (history.actions === noted || !history.canUndo); },
    undo: note.undo,
    load,
    /** A file of the mask on the stage, at the photo's own size. */
    save: (kind) => isFree() && downloads.save({history: history.actions, kind}),
    /** The same file, left on the server: the reply with its path. */
    made: (kind) => downloads.made({history: history.actions, kind}),
    /** No photo yet. */
    begin: objects.reset,
    /** What was worked on is to make room; to be called before the photo changes. */
    putAway() {
      if (!objects.isUnsaved) return () => note.show('');
      const {file} = photo(), work = objects.state();
      return () => note.show('The objects of “' + file.name + '” were put away.', 'Go back', () => openFile(file, work));
    },
    /** Another photo is on the stage; `work` is what `objects.state` gave of it before. */
    take(file, work) {
      if (work) objects.restore(work);
      keeper.photo(file);
    },
    /** What this tab had open before a reload: {file, work}, or null. */
    kept: keeper.load, arriving: keeper.arriving,
    commands: {
      'next': () => whenAnswered(objects.next), 'take-up': takeUpThere, 'note-undo': note.undo,
      'save-all': saveAll, 'load-masks': () => { if (photo()) part['masks-file'].click(); },
    },
  };
}
