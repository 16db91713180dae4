// The list of objects beside the photo, and the note that offers to undo.

const NOTE_MS = 12000;
const EYE = '<svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" stroke-width="2"'
  + ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6'
  + ' 6.5-10 6.5S2 12 2 12z"/><circle cx="12" cy="12" r="2.8"/><path class="sam-strike" d="M4 20L20 4"/></svg>';

/** The list; onTakeUp(id), onRename(id, name), onToggle(id) and onRemove(id) are told what is done in it. */
function createObjectList(part, {onTakeUp, onRename, onToggle, onRemove}) {
  const rows = new Map();

  function button(className, onClick) {
    const node = document.createElement('button');
    node.type = 'button';
    node.className = className;
    node.addEventListener('click', (event) => { event.stopPropagation(); onClick(); });
    return node;
  }

  function createRow(id) {
    const row = document.createElement('li');
    row.className = 'sam-object';
    const pick = button('sam-swatch', () => onTakeUp(id));
    const name = document.createElement('input');
    name.type = 'text';
    name.maxLength = 80;
    name.setAttribute('aria-label', 'Name of the object');
    name.addEventListener('change', () => onRename(id, name.value));
    name.addEventListener('keydown', (event) => { if (['Enter', 'Escape'].includes(event.key)) name.blur(); });
    const iou = document.createElement('span');
    iou.className = 'sam-iou';
    const eye = button('sam-icon sam-eye', () => onToggle(id));
    eye.innerHTML = EYE;
    const remove = button('sam-icon', () => {
      const next = row.nextElementSibling || row.previousElementSibling;
      onRemove(id);
      const there = next && next.isConnected ? next.querySelector('.sam-remove') : part.marks;
      there.focus({preventScroll: true});       // or a keyboard would begin at the top of the page again
    });
    remove.classList.add('sam-remove');
    remove.textContent = '×';
    row.append(pick, name, iou, eye, remove);
    row.addEventListener('click', () => onTakeUp(id));
    return {row, pick, name, iou, eye, remove};
  }

  function update({row, pick, name, iou, eye, remove}, item, isActive, estimate) {
    if (isActive) row.setAttribute('aria-current', 'true');
    else row.removeAttribute('aria-current');
    row.dataset.visible = item.visible ? 'yes' : 'no';
    pick.style.background = item.colour;
    pick.title = isActive ? 'You are working on this one' : 'Take it up again to correct it';
    pick.setAttribute('aria-label', (isActive ? 'Working on ' : 'Correct ') + item.name);
    pick.setAttribute('aria-pressed', String(isActive));
    if (document.activeElement !== name) name.value = item.name;
    iou.textContent = estimate === null ? '' : estimate.toFixed(2);
    iou.title = estimate === null ? '' : 'Predicted IoU';
    eye.disabled = isActive;
    eye.title = item.visible ? 'Hide it on the photo' : 'Show it on the photo';
    eye.setAttribute('aria-label', (item.visible ? 'Hide ' : 'Show ') + item.name);
    eye.setAttribute('aria-pressed', String(!item.visible));
    remove.title = 'Delete';
    remove.setAttribute('aria-label', 'Delete ' + item.name);
  }

  return {
    /** Shows the objects; rows stay the same elements, so that the focus stays where it is. */
    show(objects) {
      const {items, active} = objects, ids = new Set(items.map(({id}) => id));
      for (const [id, {row}] of rows) if (!ids.has(id)) { row.remove(); rows.delete(id); }
      items.forEach((item, index) => {
        if (!rows.has(item.id)) rows.set(item.id, createRow(item.id));
        const parts = rows.get(item.id);
        if (part['object-list'].children[index] !== parts.row) {
          part['object-list'].insertBefore(parts.row, part['object-list'].children[index] || null);
        }
        update(parts, item, item === active, hasMask(item) ? objects.iouOf(item) : null);
      });
      part['object-list'].hidden = part['object-hint'].hidden = true;
      (items.length ? part['object-list'] : part['object-hint']).hidden = false;
      part.overlaps.hidden = items.length < 2;
      part.exclusive.checked = objects.keep !== null;
      part.winner.disabled = objects.keep === null;
      if (objects.keep) part.winner.value = objects.keep;
    },
  };
}

/** A note above the foot of the page with one thing to do about it; show('') takes it away. */
function createNote(part, onChange) {
  let timer = 0, undo = null;
  const show = (text, label = 'Undo', onUndo = null) => {
    clearTimeout(timer);
    undo = onUndo;
    part.note.hidden = !text;
    part['note-text'].textContent = text;
    part['note-undo'].textContent = label;
    if (text) timer = setTimeout(() => show(''), NOTE_MS);
    onChange();
  };
  return {
    show,
    get canUndo() { return Boolean(undo) && part['note-undo'].textContent === 'Undo'; },
    undo() {
      const act = undo;
      show('');
      if (act) act();
    },
  };
}
