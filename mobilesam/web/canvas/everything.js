// Everything in the photo at one press: a run that this page pulls forward on the server, a turn a call,
// and the mode in which a click takes up one of its regions. A run goes on only while it is asked for:
// leaving the mode is a pause, and coming back soon goes on where it was.

const WAITING_MS = 400;         // when others compute
const RESTARTS_MOST = 2;
const FETCH_MOST = 32;          // regions a call, the server's bound
const REGIONS_GONE = 'The server no longer has these regions. Press "Find everything" once more.';

/** The settings in the fold. */
function createEverythingSettings(part) {
  const fields = {
    points_per_side: part['set-points'], min_mask_region_area: part['set-area'],
    pred_iou_thresh: part['set-iou'], stability_score_thresh: part['set-stability'],
  };
  let defaults = {};
  function showDefaults() {
    for (const [name, field] of Object.entries(fields)) {
      if (name in defaults) field.value = defaults[name];
    }
  }
  return {
    setDefaults(next) { defaults = next; showDefaults(); },
    showDefaults,
    /** What is set; a field that is empty is left to the server. */
    read() {
      const set = Object.entries(fields).filter(([, field]) => field.value !== '');
      return Object.fromEntries(set.map(([name, field]) => [name, Number(field.value)]));
    },
  };
}

/**
 * Makes the mode.
 *   token(): the open photo's, or null
 *   reopen(): opens the photo again that the server has forgotten; whether that worked
 *   redraw(), onChange(): what the tool draws has changed; the mode was entered or left
 *   fail(text): tells of trouble
 *   onTake(rle): a region was chosen; its mask at the photo's own size
 *   onKeep([{rle, display, share, predicted_iou}, ...]): all are to be kept; `rle` at the photo's own size
 */
function createEverything(root, part, {token, reopen, redraw, onChange, fail, calm, onTake, onKeep}) {
  const layer = createRegionLayer(), settings = createEverythingSettings(part);
  let isOn = false, isReady = false, isFetching = false;
  let phase = 'none';           // running; paused, stopped or finished: what there is can be taken
  let run = null;               // {token, name, options, after, ids, done, total}
  let loops = 0;                // counts the loops that pull; an older one ends

  const button = (name) => root.querySelector('[data-do="' + name + '"]');
  const counted = () => layer.count + (layer.count === 1 ? ' region' : ' regions');

  function status() {
    const points = run && run.total ? run.done + ' of ' + run.total + ' points' : 'Beginning';
    const word = root.dataset.hover === 'yes' ? 'Click' : 'Tap';
    if (phase === 'running') return points + ', ' + counted();
    if (phase === 'finished' && !layer.count) return 'No region passes. Lower the thresholds under "Advanced" and try again.';
    const offer = layer.count ? word + ' on one to take it up.' : '';
    return (phase === 'finished' ? '' : 'Stopped at ' + points + ', ') + counted() + '. ' + offer;
  }

  function show(text = status()) {
    root.dataset.everything = isOn ? phase : 'off';
    root.dataset.regions = layer.count;
    root.dataset.lit = layer.lit;
    part.regions.hidden = !isOn;
    part['regions-status'].textContent = text;
    part['regions-status'].setAttribute('aria-live', isOn && phase !== 'running' ? 'polite' : 'off');
    part['regions-progress'].hidden = phase !== 'running';
    part['regions-progress'].value = run && run.total ? run.done / run.total : 0;
    button('everything').disabled = !isReady || (isOn && phase === 'running');
    button('everything-stop').hidden = phase !== 'running';
    button('everything-keep').disabled = phase === 'running' || isFetching || !layer.count;
  }

  function setMode(next) {
    if (isOn === next) return;
    isOn = next;
    root.dataset.mode = isOn ? 'regions' : 'clicks';
    layer.light(0);
    show();
    onChange();
  }

  /** Forgets the regions; a loop that is on its way ends. */
  function forget() {
    loops++;
    run = null;
    phase = 'none';
    isFetching = false;
    layer.clear();
  }

  function takeIn(reply) {
    run.name = reply.run;
    run.ids = reply.ids;
    run.done = reply.done;
    run.total = reply.total;
    run.after = reply.regions.reduce((most, {id}) => Math.max(most, id), run.after);
    layer.update(reply.ids, reply.regions);
  }

  const fresh = (options) => ({token: token(), name: null, options, after: 0, ids: [], done: 0, total: 0});

  async function pull() {
    const mine = ++loops;
    phase = 'running';
    for (let restarts = 0; phase === 'running';) {
      show();
      const query = {token: run.token, run: run.name, after: run.after, options: run.options, side: MASK_SIDE};
      const reply = await callServer('everything', query, () => {
        if (mine === loops) show('No answer yet, trying again…');
      });
      if (mine !== loops) return;
      if (reply.expired && restarts++ < RESTARTS_MOST && await reopen()) {
        if (mine !== loops) return;
        run = fresh(run.options);
        layer.clear();
      } else if (reply.ok) {
        takeIn(reply);
        if (reply.finished) phase = 'finished';
        else if (reply.waiting) await wait(WAITING_MS);
        if (mine !== loops) return;
      } else {
        phase = 'paused';
        fail(reply.error);
      }
      redraw();
    }
    show();
    if (!layer.count && phase === 'paused') setMode(false);
  }

  /** Finds everything, or shows again what was found with the same settings. */
  function begin() {
    if (!token()) return;
    calm();
    const options = settings.read();
    const isKnown = run && phase !== 'stopped' && JSON.stringify(options) === JSON.stringify(run.options);
    if (!isKnown) {
      forget();
      run = fresh(options);
    }
    setMode(true);
    if (!isKnown || phase === 'paused') pull();
    show();
    part.stage.scrollIntoView({block: 'nearest'});    // on a phone the button is far below the photo
  }

  /** Ends the run where it is; the regions so far can be taken. */
  function stop() {
    if (phase !== 'running') return;
    loops++;
    phase = 'stopped';
    if (run.name) callServer('everything', {token: run.token, run: run.name, stop: true});
    show();
    if (!layer.count) leave();
  }

  /** Back to clicks; whether it was otherwise. */
  function leave() {
    if (!isOn) return false;
    loops++;
    if (phase === 'running') phase = 'paused';
    setMode(false);
    return true;
  }

  // ---- taking and keeping --------------------------------------------------------------------

  /** Regions at the photo's own size, or null after trouble, or when they are no longer wanted. */
  async function fetchRegions(ids) {
    const of = run, regions = [];
    isFetching = true;
    for (let at = 0; at < ids.length; at += FETCH_MOST) {
      show(ids.length > 1 ? 'Fetching ' + at + ' of ' + ids.length + ' regions…' : 'Taking it up…');
      const reply = await callServer('regions', {token: of.token, run: of.name, ids: ids.slice(at, at + FETCH_MOST)});
      if (run !== of || !isOn) {
        isFetching = false;
        return null;
      }
      if (!reply.ok) {
        isFetching = false;
        if (reply.expired) {
          forget();
          setMode(false);
        }
        fail(reply.expired ? REGIONS_GONE : reply.error);
        show();
        return null;
      }
      regions.push(...reply.regions.map(({rle, predicted_iou}) => ({rle, predicted_iou})));
    }
    isFetching = false;
    return regions;
  }

  async function take(id) {
    if (!id || isFetching) return;
    const regions = await fetchRegions([id]);
    if (!regions) return;
    leave();
    onTake(regions[0].rle);
  }

  async function keep() {
    if (isFetching) return;
    const {ids} = run, regions = await fetchRegions(ids);
    if (!regions) return;
    const masks = regions.map((region, k) => {
      const {rle: display, share} = layer.shown(ids[k]);
      return {...region, display, share};
    });
    leave();
    onKeep(masks);
  }

  // ---- on the photo --------------------------------------------------------------------------

  const idAt = ({x, y}, photo) => layer.at(x / photo.width, y / photo.height);
  function light(place, photo) {
    const id = place ? idAt(place, photo) : 0;
    if (id === layer.lit) return;
    layer.light(id);
    root.dataset.lit = id;
    redraw();
  }

  const tool = {
    begin({from, photo}) { light(from, photo); },
    move({to, photo}) { light(to, photo); },
    end({from, moved, second, photo}) { if (!moved && !second) take(idAt(from, photo)); },
    cancel() {},
    draw() {},
    cursor() {},
    hover: light,
    under(context, toSpot, photo) {
      layer.draw(context, toSpot({x: 0, y: 0}), toSpot({x: photo.width, y: photo.height}));
    },
  };

  show('');
  return {
    tool,
    get isOn() { return isOn; },
    setDefaults: settings.setDefaults,
    /** Whether there is a photo to find things in. */
    setReady(next) { isReady = next; button('everything').disabled = !isReady || (isOn && phase === 'running'); },
    leave,
    /** Another photo is there. */
    reset() {
      leave();
      forget();
      show('');
    },
    commands: {
      'everything': begin, 'everything-stop': stop, 'everything-keep': keep, 'everything-done': leave,
      'everything-defaults': settings.showDefaults,
    },
  };
}
