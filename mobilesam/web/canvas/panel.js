// Everything beside the photo: candidates, verdict, cost, buttons, messages.

const HINTS = {
  empty: ['Open a photo, then click on a thing in it.', 'Open a photo, then tap on a thing in it.'],
  opening: ['Click on a thing: its mask comes with the photo.', 'Tap on a thing: its mask comes with the photo.'],
  ready: ['Click on a thing, or drag a box round it.', 'Tap on a thing, or drag a box round it.'],
  negative: ['Now click on the thing itself.', 'Now tap on the thing itself.'],
  choose: ['One click can mean several things. Choose what you meant:', 'One tap can mean several things. Choose what you meant:'],
  refine: ['Click what is missing, right-click what is too much.', 'Tap what is missing; use "Tap removes" for what is too much.'],
  brush: ['Paint what is missing; the right button or Shift erases.', 'Paint what is missing; switch to "Erase" for what is too much.'],
  regions: ['Click on a region to take it up, then correct it with clicks.', 'Tap on a region to take it up, then correct it with taps.'],
  nothing: ['Nothing was found there. Click elsewhere, or drag a box.', 'Nothing was found there. Tap elsewhere, or drag a box.'],
};

const THUMBNAIL_SIDE = 96, CANDIDATES = 3;

function seconds(ms) {
  return (ms / 1000).toFixed(ms < 1000 ? 2 : 1) + ' s';
}

function verdict({predicted_iou: iou, share}) {
  const estimate = iou === null ? '' : ', predicted IoU ' + iou.toFixed(2);
  if (!share) return 'No mask there';
  return 'Mask ready' + estimate + ' · covers ' + (100 * share).toFixed(share < 0.1 ? 1 : 0) + '% of the photo';
}

function createPanel(root, part, {limits, examples, onChoose, onExample}) {
  // A laptop with a touch screen has both; a phone has no hover.
  root.dataset.touch = navigator.maxTouchPoints > 0 ? 'yes' : 'no';
  root.dataset.hover = window.matchMedia('(any-hover: hover)').matches ? 'yes' : 'no';
  const all = (name) => root.querySelectorAll('[data-do="' + name + '"]');

  part.limits.textContent = 'JPEG, PNG, WebP, GIF, BMP or TIFF, up to ' + limits.max_mb + ' MB and '
    + limits.max_megapixels + ' megapixels';

  for (const example of examples) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'sam-example';
    button.title = example.name;
    const picture = document.createElement('img');
    picture.src = example.thumbnail;
    picture.alt = 'Example photo: ' + example.name;
    picture.draggable = false;
    button.append(picture);
    button.addEventListener('click', () => onExample(example));
    part.examples.append(button);
  }

  function drawThumbnail(canvas, photo, rle) {
    const overlay = document.createElement('canvas');
    paintMask(overlay, rle);
    const {width, height} = overlay;
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d');
    context.imageSmoothingQuality = 'high';
    context.drawImage(photo, 0, 0, width, height);
    context.drawImage(overlay, 0, 0);
  }

  function showCandidates(reply, photo) {
    const focused = Array.from(part.candidates.children).indexOf(document.activeElement);
    part.candidates.replaceChildren();
    if (!reply || reply.candidates.length < 2) return keepRoom(photo);
    reply.candidates.forEach((candidate, index) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'sam-candidate';
      button.setAttribute('aria-pressed', String(index === reply.index));
      const iou = candidate.predicted_iou.toFixed(2);
      button.title = 'Candidate ' + (index + 1) + ', predicted IoU ' + iou;
      const canvas = document.createElement('canvas');
      drawThumbnail(canvas, photo, candidate.rle);
      const label = document.createElement('span');
      const key = document.createElement('kbd');
      key.textContent = index + 1;
      label.append(key, ' ' + iou);
      button.append(canvas, label);
      button.addEventListener('click', () => onChoose(index));
      part.candidates.append(button);
    });
    if (focused >= 0) part.candidates.children[focused].focus();
  }

  /** Their places stay when there are none: what is below must not move under a pointer. */
  function keepRoom(photo) {
    if (!photo) return;
    const [width, height] = fitted(photo.width, photo.height, THUMBNAIL_SIDE);
    for (let place = 0; place < CANDIDATES; place++) {
      const vacant = document.createElement('div');
      vacant.className = 'sam-candidate sam-vacant';
      const canvas = document.createElement('canvas');
      canvas.width = width;
      canvas.height = height;
      const label = document.createElement('span');
      label.textContent = '\u00a0';
      vacant.append(canvas, label);
      part.candidates.append(vacant);
    }
  }

  let alertTimer = 0;
  return {
    /** The state of the page: empty, opening or ready, and what can be done in it. */
    update({state, canUndo, canRedo, canClear, hasMask, hint, canKeep, canSaveAll, canLoad}) {
      root.dataset.state = state;
      const free = state !== 'opening';
      const set = (name, enabled) => all(name).forEach((button) => { button.disabled = !(enabled && free); });
      set('undo', canUndo);
      set('redo', canRedo);
      set('clear', canClear);
      set('cutout', hasMask);
      set('mask', hasMask);
      set('compare', hasMask);
      set('next', canKeep);
      set('save-all', canSaveAll);
      set('load-masks', canLoad);
      part['object-section'].inert = !free;
      part.candidates.querySelectorAll('button').forEach((button) => { button.disabled = !free; });
      part.hint.textContent = HINTS[hint][root.dataset.hover === 'yes' ? 0 : 1];
    },
    /** What answers here. */
    showAbout({device, weights, reason}) {
      part.device.textContent = device;
      part.weights.textContent = {official: 'official MobileSAM', bundled: 'bundled', custom: 'your own file'}[weights];
      part['weights-note'].textContent = weights === 'bundled'
        ? 'The bundled weights work without a network; the official ones give better masks.' : '';
      part['weights-note'].title = reason;
      part.about.textContent = device + ' · ' + part.weights.textContent + ' weights';
    },
    setTap(removes) {
      all('tap-add').forEach((button) => button.setAttribute('aria-pressed', String(!removes)));
      all('tap-remove').forEach((button) => button.setAttribute('aria-pressed', String(removes)));
    },
    setTool(name) {
      root.dataset.tool = name;
      for (const one of ['click', 'brush']) {
        all('tool-' + one).forEach((button) => button.setAttribute('aria-pressed', String(one === name)));
      }
    },
    setZoom(zoom) {
      part.zoom.textContent = Math.round(100 * zoom) + '%';
      const off = (name, isOff) => all(name).forEach((button) => button.setAttribute('aria-disabled', String(isOff)));
      off('zoom-in', zoom >= ZOOM_MOST);
      off('zoom-out', zoom <= 1);
      off('zoom-fit', zoom <= 1);
    },
    showReply(reply, photo) {
      showCandidates(reply, photo);
      part.verdict.textContent = reply ? verdict(reply) : '';
      part['decode-cost'].textContent = reply ? 'in ' + Math.max(1, Math.round(reply.ms)) + ' ms' : 'no click yet';
    },
    showOpened(reply) {
      part['encode-cost'].textContent = reply.cached ? 'from cache' : 'encoded in ' + seconds(reply.ms);
    },
    busy(text) {
      const box = root.querySelector('.sam-busy');
      box.hidden = !text;
      part.busy.textContent = text || '';
    },
    alert(text, kind) {
      clearTimeout(alertTimer);
      part.alert.hidden = !text;
      part.alert.dataset.kind = kind || 'error';
      part['alert-text'].textContent = text || '';
      if (text && kind === 'note') alertTimer = setTimeout(() => { part.alert.hidden = true; }, 8000);
    },
  };
}
