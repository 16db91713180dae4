// The result beside the photo: a slider between the two, and another background for the cut-out. All
// of it is put together in the browser, and a background picture never leaves it.

const COMPARE_SIDE = 1600;      // of what shows; the file has the photo's own size
const BLUR_SIDE = 40;           // the photo that small, smoothly enlarged again, is a blur
const STRIP_ROWS = 256;

function emptyCanvas(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

/** A picture of another size, as a canvas. */
function scaledTo(picture, width, height) {
  const canvas = emptyCanvas(width, height), context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0, width, height);
  return canvas;
}

/** The same on white, as the model sees a photo that is transparent somewhere. */
function onWhite(picture, width, height) {
  const canvas = scaledTo(picture, width, height), context = canvas.getContext('2d');
  context.globalCompositeOperation = 'destination-over';
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  return canvas;
}

/** A picture blurred, step by step: not every browser has the filter, and this is alike at every size. */
function blurred(picture, width, height) {
  let {width: w, height: h} = picture, now = picture;
  while (Math.max(w, h) > BLUR_SIDE) {
    [w, h] = [Math.max(1, Math.round(w / 2)), Math.max(1, Math.round(h / 2))];
    now = scaledTo(now, w, h);
  }
  while (2 * Math.max(w, h) < Math.max(width, height)) {
    [w, h] = [2 * w, 2 * h];
    now = scaledTo(now, w, h);
  }
  return scaledTo(now, width, height);
}

/** A mask as a canvas that is opaque within it. */
function maskStencil(rle) {
  const [height, width] = rle.size, mask = decodeMask(rle), canvas = emptyCanvas(width, height);
  const context = canvas.getContext('2d'), image = context.createImageData(width, height);
  for (let x = 0, p = 0; x < width; x++) {
    for (let y = 0; y < height; y++, p++) image.data[4 * (y * width + x) + 3] = 255 * mask[p];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A black and white picture as a canvas that is opaque where it is white. */
function pictureStencil(picture) {
  const {width, height} = picture, canvas = emptyCanvas(width, height), context = canvas.getContext('2d');
  context.drawImage(picture, 0, 0);
  for (let y = 0; y < height; y += STRIP_ROWS) {        // the whole at once would be hundreds of megabytes
    const strip = context.getImageData(0, y, width, Math.min(STRIP_ROWS, height - y));
    for (let p = 0; p < strip.data.length; p += 4) strip.data[p + 3] = strip.data[p];
    context.putImageData(strip, 0, y);
  }
  return canvas;
}

/** A picture large enough to cover a canvas, in its middle, no part of the canvas left free. */
function drawCovering(context, picture, width, height) {
  const scale = Math.max(width / picture.width, height / picture.height);
  const w = picture.width * scale, h = picture.height * scale;
  context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
}

/** What lies within the stencil, on a background: 'none', 'white', 'black', 'blur' or a picture. */
function composed(picture, stencil, background, width, height) {
  const canvas = onWhite(picture, width, height), context = canvas.getContext('2d');
  const blur = background === 'blur' && blurred(canvas, width, height);
  context.globalCompositeOperation = 'destination-in';
  context.drawImage(stencil, 0, 0, width, height);
  context.globalCompositeOperation = 'destination-over';
  if (blur) context.drawImage(blur, 0, 0);
  else if (background === 'white' || background === 'black') {
    context.fillStyle = background;
    context.fillRect(0, 0, width, height);
  } else if (background !== 'none') drawCovering(context, background, width, height);
  return canvas;
}

/**
 * The dialog.
 *   current(): {picture, width, height, name, rle} of what is on the stage: the photo as the browser
 *     has it, its own size, and the mask at display size
 *   fullMask(): resolves to the mask at the photo's own size as a black and white picture; throws an
 *     Error whose message says what to do
 */
function createCompare(part, {current, fullMask}) {
  const {compare: dialog, 'compare-view': view, 'compare-before': before, 'compare-after': after,
    'compare-at': slider, 'compare-file': file, 'compare-note': note} = part;
  const save = dialog.querySelector('[data-do=compare-save]');
  let background = 'none', chosen = null, saving = false;

  const say = (text) => { note.textContent = text; };
  const behind = () => (background === 'picture' ? chosen : background);
  const hasOwnSize = ({picture, width, height}) => picture.width === width && picture.height === height;

  function slide() {
    view.style.setProperty('--at', slider.value + '%');
    slider.setAttribute('aria-valuetext', Math.round(slider.value) + '% of the photo, from the left');
  }

  function draw() {
    const now = current();
    const [width, height] = fitted(now.width, now.height, COMPARE_SIDE);
    view.style.setProperty('--ratio', now.width / now.height);
    const small = onWhite(now.picture, width, height);
    for (const [canvas, picture] of [[before, small], [after, composed(small, maskStencil(now.rle), behind(), width, height)]]) {
      canvas.width = width;
      canvas.height = height;
      canvas.getContext('2d').drawImage(picture, 0, 0);
    }
    save.disabled = saving || !hasOwnSize(now);
    say(hasOwnSize(now) ? now.width + ' × ' + now.height + ' pixels, the photo\'s own size'
      : 'The browser has only a smaller copy of this photo. The cut-out PNG has its full size.');
  }

  function setBackground(next) {
    background = next;
    dialog.querySelectorAll('[data-background]').forEach((button) => {
      button.setAttribute('aria-pressed', String(button.dataset.background === next));
    });
    draw();
  }

  async function take(picked) {
    try {
      const picture = await createImageBitmap(picked);
      if (chosen) chosen.close();
      chosen = picture;
    } catch (error) {
      return say('The browser cannot show this file as a picture. Choose a JPEG, PNG or WebP.');
    }
    if (dialog.open) setBackground('picture');
  }

  async function download() {
    const now = current(), on = behind();
    saving = save.disabled = true;
    say('Preparing the picture…');
    try {
      const canvas = composed(now.picture, pictureStencil(await fullMask()), on, now.width, now.height);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
      if (!blob) throw new Error('This browser cannot make a picture of that size. Download the cut-out PNG instead.');
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = now.name.replace(/[.][^.]*$/, '') + '-picture.png';
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      say('Saved at ' + now.width + ' × ' + now.height + ' pixels.');
    } catch (error) {
      say(error.message);
    } finally {
      saving = save.disabled = false;
    }
  }

  slider.addEventListener('input', slide);
  function follow(event) {
    slider.value = 100 * spotOf(event, view).x / view.clientWidth;
    slide();
  }
  view.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    view.setPointerCapture(event.pointerId);
    slider.focus({preventScroll: true});
    follow(event);
  });
  view.addEventListener('pointermove', (event) => { if (view.hasPointerCapture(event.pointerId)) follow(event); });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) return dialog.close();           // beside the dialog's own contents
    const button = event.target.closest('[data-background]');
    if (!button) return;
    if (button.dataset.background === 'picture') file.click();
    else setBackground(button.dataset.background);
  });
  file.addEventListener('change', () => {
    if (file.files[0]) take(file.files[0]);
    file.value = '';
  });

  return {
    open() {
      slider.value = 50;
      slide();
      setBackground(background);
      dialog.showModal();
    },
    close() { dialog.close(); },
    download,
    /** The mask has changed, perhaps while the dialog shows it. */
    refresh() { if (dialog.open) draw(); },
  };
}
