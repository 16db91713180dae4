// Wires the parts together. State: the clicks' history, and whether a reply to it is shown.

const root = element.querySelector('.sam');
const part = {};
root.querySelectorAll('[data-part]').forEach((node) => { part[node.dataset.part] = node; });

let shown = null;               // the reply whose mask is on the stage
let shownPrompt = null;         // the last click or box that it answers
let shownActions = [];          // all that it answers
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
        && Math.max(opening.photo.width, opening.photo.height) > Math.max(...shown.rle.size)) ask();
  },
});
const panel = createPanel(root, part, {
  limits: props.limits, examples: props.examples, onChoose: choose,
  onExample: (example) => opening.openExample(example),
});
const collection = createCollection(root, part, {
  history, stage, busy, fail, whenAnswered,
  reopen: () => opening.reopen(), openFile: (file, work) => opening.open(file, work),
  photo: () => opening.photo, isFree: () => root.dataset.busy !== 'yes',
  onShow(reply) { showReply(reply); settled = version; },
  onChange: refresh, calm: () => panel.alert(''),
});
const compare = createCompare(part, {
  current: () => ({...opening.photo, name: opening.photo.file.name, rle: shown.rle}),
  fullMask,
});
const intake = createIntake(root, part, {
  onFile: (file) => (isMasksFile(file) ? collection.load(file) : opening.open(file)), onError: (text) => panel.alert(text),
});
const opening = createOpening(root, part, {
  limits: props.limits, busy, fail, calm: () => panel.alert(''), keep: collection.arriving,
  onOpened(photo, reply, work, early) {
    const tellOfLast = collection.putAway();
    opening.photo = photo;
    setTap(false);
    everything.reset();
    collection.begin();         // first, or the old clicks would be asked of the new photo
    stage.show(photo.picture, photo.width, photo.height);
    panel.showReply(null, stage.photo);
    panel.showOpened(reply);
    collection.take(photo.file, work);
    tellOfLast();
    if (reply.notes.length) panel.alert(reply.notes.join(' '), 'note');
    if (early && !work) {
      const click = {from: early, to: early, moved: false, second: false, photo, scale: 1};
      promptTool.begin(click);
      promptTool.end(click);
    }
    root.dataset.ready = Number(root.dataset.ready || 0) + 1;
  },
  onReopened: panel.showOpened, reserve: stage.reserve,
});
const ask = createAsker({
  current() {
    if (!opening.photo || !isQuestion(history.actions)) return null;
    const asked = version;
    return {token: opening.photo.token, history: history.actions, side: stage.maskSide, isCurrent: () => asked === version};
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
  reopen: opening.reopen,
});

const everything = createEverything(root, part, {
  token: () => opening.photo && opening.photo.token, reopen: opening.reopen, fail, calm: () => panel.alert(''), redraw: stage.redrawMarks, onChange: showWork,
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
    state: opening.isArriving ? 'opening' : opening.photo ? 'ready' : 'empty',
    canUndo: history.canUndo || collection.canUndo, canRedo: history.canRedo, canClear: history.actions.length > 0,
    hasMask: Boolean(shown && shown.share), hint: hintName(),
    canKeep: collection.canKeep, canSaveAll: collection.canSaveAll, canLoad: Boolean(opening.photo),
  });
  everything.setReady(Boolean(opening.photo) && !opening.isArriving);
}

function hintName() {
  if (opening.isArriving) return 'opening';
  if (!opening.photo) return 'empty';
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
  panel.showReply(reply, stage.size && stage.photo);
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
  if (!opening.photo || opening.isArriving) return;
  if (settled === version || !isQuestion(history.actions)) return act();
  afterReply = {version, act};
  ask();
}

function busy(text) {
  root.dataset.busy = text ? 'yes' : 'no';
  panel.busy(text);
  refresh();
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
  'undo': () => (collection.canUndo ? collection.undo() : history.undo()), 'redo': history.redo, 'clear': history.clear,
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
  commands: COMMANDS, crosshair: stage.crosshair, choose, escape, giveUpOpening: opening.end,
});

panel.showReply(null, null);
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
  if (kept && !opening.photo && !opening.isArriving) opening.open(kept.file, kept.work, true);
});
