// Wires the parts together. State: the open photo, its history, and whether a reply is shown.

const root = element.querySelector('.sam');
const part = {};
root.querySelectorAll('[data-part]').forEach((node) => { part[node.dataset.part] = node; });

let photo = null;               // {token, file, picture, width, height} of what the stage shows
let shown = null;               // the reply whose mask is on the stage
let opening = 0;                // counts the photos asked for; an older one's answer is dropped
let version = 0;                // counts changes of photo or history; a reply to an older one is stale
let tapRemoves = false;

const history = createHistory((actions) => {
  version++;
  stage.setActions(actions);
  if (!actions.length) showReply(null);
  refresh();
  ask();
});
const stage = createStage(part, {
  onPoint: (point) => history.push({type: 'point', ...point}),
  onBox: (box) => history.push({type: 'box', box}),
  removes: () => tapRemoves,
});
const panel = createPanel(root, part, {
  about: props.about, examples: props.examples, onChoose: choose, onExample: openExample,
});
const intake = createIntake(root, part, {onFile: openFile, onError: (text) => panel.alert(text)});
const openOnServer = createOpener();
const ask = createAsker({
  current() {
    if (!photo || !photo.token || !history.actions.length) return null;
    const asked = version;
    return {token: photo.token, history: history.actions, side: stage.maskSide, isCurrent: () => asked === version};
  },
  onAsk(seq) { root.dataset.asked = seq; },
  onReply(reply) {
    if (!reply.ok) return fail(reply.error);
    panel.alert('');
    showReply(reply);
    root.dataset.shown = reply.seq;
  },
  reopen,
});

function fail(text) {
  panel.alert(text);
  root.dataset.failed = Number(root.dataset.failed || 0) + 1;
}

function refresh() {
  panel.update({
    state: opening && root.dataset.busy === 'yes' ? 'opening' : photo ? 'ready' : 'empty',
    canUndo: history.canUndo, canRedo: history.canRedo, hasMask: Boolean(shown),
  });
}

function showReply(reply) {
  shown = reply;
  if (reply) stage.showMask(reply.rle);
  else stage.clearMask();
  refresh();
  panel.showReply(reply, stage.photo);
}

function choose(index) {
  if (!shown || index >= shown.candidates.length || index === shown.index) return;
  history.push({type: 'candidate', index});
}

// ---- opening a photo -------------------------------------------------------------------------

function busy(text) {
  root.dataset.busy = text ? 'yes' : 'no';
  panel.busy(text);
  refresh();
}

/** The file as the browser shows it, or null: then the server's picture is taken. */
async function localPicture(file) {
  try {
    return await createImageBitmap(file);
  } catch (error) {
    return null;
  }
}

async function serverPicture(token) {
  const reply = await callServer('preview', {token});
  if (!reply.ok) throw new Error(reply.error);
  return createImageBitmap(await (await fetch(reply.url)).blob());
}

async function openFile(file) {
  if (file.size > props.about.max_mb * 1e6) {
    return fail('The file is larger than ' + props.about.max_mb + ' MB; use a smaller photo.');
  }
  const mine = ++opening;
  panel.alert('');
  const started = performance.now();
  const clock = setInterval(() => {
    if (mine === opening) busy('Encoding the photo… ' + ((performance.now() - started) / 1000).toFixed(1) + ' s');
  }, 100);
  busy('Opening the photo…');
  try {
    const picture = await localPicture(file);
    if (picture && mine === opening) showIncoming(picture);
    const reply = await openOnServer(file);
    if (mine !== opening) return;
    if (!reply.ok) return fail(reply.error);
    const [height, width] = reply.size;
    const usable = picture && !reply.preview && sameShape(picture, width, height);
    const next = {token: reply.token, file, width, height, picture: usable ? picture : await serverPicture(reply.token)};
    if (mine !== opening) return;
    photo = next;
    stage.show(photo.picture, width, height);
    history.reset();
    panel.showOpened(reply);
    if (reply.notes.length) panel.alert(reply.notes.join(' '), 'note');
    root.dataset.ready = Number(root.dataset.ready || 0) + 1;
  } catch (error) {
    if (mine === opening) fail('The photo could not be opened: ' + error.message);
  } finally {
    clearInterval(clock);
    if (mine === opening) {
      part.incoming.hidden = true;
      busy('');
    }
  }
}

/** The photo on its way, over the one that stays if it cannot be opened. */
function showIncoming(picture) {
  const [width, height] = fitted(picture.width, picture.height, 1024);
  part.incoming.width = width;
  part.incoming.height = height;
  part.incoming.getContext('2d').drawImage(picture, 0, 0, width, height);
  part.incoming.hidden = false;
}

function sameShape(picture, width, height) {
  return Math.abs(picture.width * height - picture.height * width) <= Math.max(width, height);
}

/** The server has forgotten the photo: send it again and keep everything on the page. */
async function reopen() {
  const forgotten = photo;
  busy('Opening the photo again…');
  const reply = await openOnServer(forgotten.file);
  busy('');
  if (photo !== forgotten) return true;
  if (!reply.ok) { fail(reply.error); return false; }
  photo = {...forgotten, token: reply.token};
  panel.showOpened(reply);
  return true;
}

async function openExample(example) {
  try {
    const response = await fetch(fileUrl(example.path));
    if (!response.ok) throw new Error('HTTP ' + response.status);
    const blob = await response.blob();
    openFile(new File([blob], example.name + '.jpg', {type: blob.type}));
  } catch (error) {
    fail('The example could not be loaded. Check the connection and try again.');
  }
}

// ---- downloads -------------------------------------------------------------------------------

async function download(kind) {
  if (!shown) return;
  busy('Preparing the file…');
  const query = {token: photo.token, history: history.actions, kind};
  let reply = await callServer('export', query);
  if (reply.expired && await reopen()) reply = await callServer('export', {...query, token: photo.token});
  busy('');
  if (!reply.ok) return fail(reply.error);
  const link = document.createElement('a');
  link.href = fileUrl(reply.path);
  link.download = reply.name;
  link.click();
}

// ---- buttons and keys ------------------------------------------------------------------------

function setTap(removes) {
  tapRemoves = removes;
  panel.setTap(removes);
}

const COMMANDS = {
  'undo': history.undo, 'redo': history.redo, 'clear': history.clear,
  'browse': intake.browse, 'paste': intake.paste, 'camera': intake.openCamera,
  'shoot': intake.shoot, 'camera-close': intake.closeCamera,
  'cutout': () => download('cutout'), 'mask': () => download('mask'),
  'tap-add': () => setTap(false), 'tap-remove': () => setTap(true),
  'dismiss': () => panel.alert(''),
};
root.addEventListener('click', (event) => {
  const button = event.target.closest('[data-do]');
  if (button && !button.disabled) COMMANDS[button.dataset.do]();
});

document.addEventListener('keydown', (event) => {
  const target = event.target;
  if (target.closest && target.closest('input, textarea, select, [contenteditable=true], dialog')) return;
  const key = event.key.toLowerCase(), command = event.ctrlKey || event.metaKey;
  if (command && key === 'z') event.shiftKey ? history.redo() : history.undo();
  else if (command && key === 'y') history.redo();
  else if (command || event.altKey) return;
  else if (key === 'escape') history.clear();
  else if (['1', '2', '3'].includes(key)) choose(Number(key) - 1);
  else return;
  event.preventDefault();
});

refresh();
panel.showReply(null, stage.photo);
root.dataset.loaded = 'yes';
