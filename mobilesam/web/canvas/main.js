// Wires the parts together. State: the open photo, its history, and whether a reply is shown.

const root = element.querySelector('.sam');
const part = {};
root.querySelectorAll('[data-part]').forEach((node) => { part[node.dataset.part] = node; });

let photo = null;               // {token, file, picture, width, height} of what the stage shows
let shown = null;               // the reply whose mask is on the stage
let shownPrompt = null;         // the last click or box that it answers
let shownActions = [];          // all that it answers
let arriving = false;           // whether a photo is being opened
let opening = 0;                // counts the photos asked for; an older one's answer is dropped
let version = 0;                // counts changes of photo or history; a reply to an older one is stale
let settled = 0;                // the version that the reply on the stage answers
let afterReply = null;          // {version, act}: to be done when that version is answered
let tapRemoves = false;

const ZOOM_STEP = 1.5;          // of a button or a key

const history = createHistory((actions) => {
  version++;
  everything.leave();           // the regions give way to what is done
  stage.setActions(actions);
  if (isQuestion(actions)) showStrokes();
  else showReply(null);
  refresh();
  ask();
});
const promptTool = createPromptTool({
  onPoint(point) {
    const points = history.actions.filter((action) => action.type === 'point').length;
    if (points >= props.limits.max_points) return fail('At most ' + props.limits.max_points + ' points can be used at once.');
    history.push({type: 'point', ...point});
  },
  onBox: (box) => history.push({type: 'box', box}),
  removes: () => tapRemoves,
});
const brush = createBrush(part, {
  history, limits: props.limits, removes: () => tapRemoves,
  onDraw: showStrokes, onSize: () => stage.redrawMarks(), onError: fail,
});
const stage = createStage(part, {
  tool: promptTool,
  onView(zoom) {
    panel.setZoom(zoom);
    root.dataset.zoom = zoom.toFixed(3);
    if (shown && stage.maskSide > 1.25 * Math.max(...shown.rle.size, 1)
        && Math.max(photo.width, photo.height) > Math.max(...shown.rle.size)) ask();
  },
});
const panel = createPanel(root, part, {
  limits: props.limits, examples: props.examples, onChoose: choose, onExample: openExample,
});
const collection = createCollection(root, part, {
  history, stage, reopen, busy, fail, openFile, whenAnswered,
  photo: () => photo, isFree: () => root.dataset.busy !== 'yes',
  onShow(reply) { showReply(reply); settled = version; },
  onChange: refresh, calm: () => panel.alert(''),
});
const compare = createCompare(part, {
  current: () => ({...photo, name: photo.file.name, rle: shown.rle}),
  fullMask,
});
const intake = createIntake(root, part, {
  onFile: (file) => (isMasksFile(file) ? collection.load(file) : openFile(file)), onError: (text) => panel.alert(text),
});
const openOnServer = createOpener();
const ask = createAsker({
  current() {
    if (!photo || !isQuestion(history.actions)) return null;
    const asked = version;
    return {token: photo.token, history: history.actions, side: stage.maskSide, isCurrent: () => asked === version};
  },
  onAsk(seq) { root.dataset.asked = seq; },
  onSlow(text) { if (root.dataset.busy !== 'yes') panel.busy(text); },
  onReply(reply) {
    if (!reply.ok) return fail(reply.error);
    panel.alert('');
    showReply(reply);
    settled = version;
    root.dataset.shown = reply.seq;
    const waiting = afterReply;
    afterReply = null;
    if (waiting && waiting.version === version) waiting.act();
  },
  reopen,
});

const everything = createEverything(root, part, {
  token: () => photo && photo.token, reopen, fail, redraw: stage.redrawMarks, onChange: showWork,
  onTake: (rle) => history.replace([{type: 'mask', rle}]),
  onKeep: collection.add,
});

/** Either the regions or the mask and its markers; the tool goes with them. */
function showWork() {
  const regions = everything.isOn;
  stage.setTool(regions ? everything.tool : root.dataset.tool === 'brush' ? brush.tool : promptTool);
  stage.setActions(regions ? [] : history.actions);
  stage.showMask(regions || !shown ? null : shown.rle, regions ? [] : paintedSince());
  refresh();
}

function fail(text) {
  panel.alert(text);
  root.dataset.failed = Number(root.dataset.failed || 0) + 1;
}

function refresh() {
  panel.update({
    state: arriving ? 'opening' : photo ? 'ready' : 'empty',
    canUndo: history.canUndo, canRedo: history.canRedo, canClear: history.actions.length > 0,
    hasMask: Boolean(shown && shown.share), hint: hintName(),
    canKeep: collection.canKeep, canSaveAll: collection.canSaveAll, canLoad: Boolean(photo),
  });
  everything.setReady(Boolean(photo) && !arriving);
}

function hintName() {
  if (arriving) return 'opening';
  if (!photo) return 'empty';
  if (everything.isOn) return 'regions';
  if (root.dataset.tool === 'brush') return 'brush';
  if (!shown) return history.actions.length && !isQuestion(history.actions) ? 'negative' : 'ready';
  if (!shown.share) return 'nothing';
  return shown.candidates.length > 1 ? 'choose' : 'refine';
}

/** Leaving things out alone, by click or brush, asks for nothing: the decoder would answer with anything at all. */
function isQuestion(actions) {
  return actions.some((action) => action.type === 'box' || action.type === 'mask' || action.label === 1);
}

/** The last click or box; steps are never altered, so the same object has the same ones before it. */
function lastPrompt() {
  return history.actions.filter((action) => action.type !== 'candidate').pop();
}

function showReply(reply) {
  shown = reply;
  shownPrompt = lastPrompt();
  shownActions = reply ? history.actions : [];
  panel.showReply(reply, stage.photo);
  if (reply) compare.refresh();
  else compare.close();
  collection.answered(reply);
  showWork();
}

/** The strokes that the server has not answered yet, and the one that is being drawn. */
function paintedSince() {
  return strokesSince(shownActions, history.actions).concat(brush.stroke || []);
}

function showStrokes() {
  stage.showStrokes(paintedSince());
}

function choose(index) {
  // While a newer click is on its way, the candidates on the page are not those of its answer.
  if (!shown || shownPrompt !== lastPrompt() || index >= shown.candidates.length) return;
  const last = history.actions[history.actions.length - 1];
  if (index === (last.type === 'candidate' ? last.index : shown.index)) return;
  history.push({type: 'candidate', index});
}

/** Does it once the mask on the stage is that of the clicks so far, unless they change before. */
function whenAnswered(act) {
  if (!photo || arriving) return;
  if (settled === version || !isQuestion(history.actions)) return act();
  afterReply = {version, act};
  ask();
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

/** Opens a photo; `work` is what was done on it before. */
async function openFile(file, work = null) {
  part.stage.scrollIntoView({block: 'nearest'});
  if (file.size > props.limits.max_mb * 1e6) {
    return fail('The file is larger than ' + props.limits.max_mb + ' MB; use a smaller photo.');
  }
  const mine = ++opening;
  panel.alert('');
  const started = performance.now();
  const clock = setInterval(() => {
    const doing = root.dataset.model === 'loaded' ? 'Encoding the photo… ' : 'The model is still being loaded… ';
    if (mine === opening) busy(doing + ((performance.now() - started) / 1000).toFixed(1) + ' s');
  }, 100);
  arriving = true;
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
    const tellOfLast = collection.putAway();
    photo = next;
    setTap(false);
    everything.reset();
    collection.begin();         // first, or the old clicks would be asked of the new photo
    stage.show(photo.picture, width, height);
    panel.showOpened(reply);
    collection.take(file, work);
    tellOfLast();
    if (reply.notes.length) panel.alert(reply.notes.join(' '), 'note');
    root.dataset.ready = Number(root.dataset.ready || 0) + 1;
  } catch (error) {
    if (mine === opening) fail('The photo could not be opened: ' + error.message);
  } finally {
    clearInterval(clock);
    if (mine === opening) endOpening();
  }
}

/** No photo is on its way any longer: it has arrived, or is given up for the one on the stage. */
function endOpening() {
  opening++;
  arriving = false;
  part.incoming.hidden = true;
  busy('');
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

async function fullMask() {
  const asked = version;
  const reply = await collection.made('mask');
  if (!reply.ok) throw new Error(reply.error);
  const response = await fetch(fileUrl(reply.path)).catch(() => null);
  if (!response || !response.ok) throw new Error('The mask could not be fetched. Check the connection and try again.');
  if (asked !== version) throw new Error('The mask has changed meanwhile. Download it again.');
  return createImageBitmap(await response.blob());
}

// ---- buttons and keys ------------------------------------------------------------------------

function setTap(removes) {
  tapRemoves = removes;
  panel.setTap(removes);
}

function setTool(name) {
  everything.leave();
  panel.setTool(name);
  showWork();
}

const COMMANDS = {
  ...everything.commands,
  'undo': history.undo, 'redo': history.redo, 'clear': history.clear,
  'browse': intake.browse, 'paste': intake.paste, 'camera': intake.openCamera,
  'shoot': intake.shoot, 'camera-close': intake.closeCamera,
  'cutout': () => shown && collection.save('cutout'), 'mask': () => shown && collection.save('mask'),
  'compare': compare.open, 'compare-close': compare.close, 'compare-save': compare.download,
  'tap-add': () => setTap(false), 'tap-remove': () => setTap(true),
  'tool-click': () => setTool('click'), 'tool-brush': () => setTool('brush'),
  'tool-switch': () => setTool(root.dataset.tool === 'brush' ? 'click' : 'brush'),
  'brush-smaller': brush.smaller, 'brush-larger': brush.larger,
  'dismiss': () => panel.alert(''),
  'zoom-in': () => stage.zoomBy(ZOOM_STEP), 'zoom-out': () => stage.zoomBy(1 / ZOOM_STEP), 'zoom-fit': stage.fit,
  'help': () => part.help.showModal(), 'help-close': () => part.help.close(),
  ...collection.commands,
};
root.addEventListener('click', (event) => {
  if (event.target === part.help) return part.help.close();    // beside the dialog's own contents
  const button = event.target.closest('[data-do]');
  if (button && !button.disabled) COMMANDS[button.dataset.do]();
});

/** Ends what is nearest at hand: a drag, a message, then the clicks. */
function escape() {
  if (stage.cancelDrag()) return;
  if (!part.alert.hidden) return panel.alert('');
  if (everything.leave()) return;
  history.clear();
}

listenToKeys(root, part, {
  commands: COMMANDS, crosshair: stage.crosshair, choose, escape, giveUpOpening: endOpening,
});

panel.showReply(null, stage.photo);
setTool('click');
brush.show();
collection.begin();
root.dataset.loaded = 'yes';
callServer('about', {}).then((reply) => {
  if (!reply.ok) return fail(reply.error);
  panel.showAbout(reply);
  everything.setDefaults(reply.everything);
  root.dataset.model = 'loaded';
});
collection.kept().then((kept) => {
  if (kept && !photo && !arriving) openFile(kept.file, kept.work);
});
