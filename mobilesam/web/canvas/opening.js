// Opening photos. The newest one wins; the photo that is open stays until the next has arrived.

/**
 * Opens files, examples and photos that the server has forgotten.
 *
 * `keep(file)` is told which photo is on its way, null when none is: Gradio reloads the page when the
 * server is restarted meanwhile. A photo that comes from there is not kept a second time.
 *
 * `onOpened(photo, reply, work, early)` takes the photo to the page and sets `photo`; early is where
 * it was clicked on its way, or null. `onReopened(reply)` is told when the same one has a token again.
 * `reserve(width, height)` gives the stage its shape.
 */
function createOpening(root, part, {limits, busy, fail, calm, keep, onOpened, onReopened, reserve}) {
  const openOnServer = createOpener();
  let arriving = false;         // whether a photo is being opened
  let count = 0;                // of the photos asked for; an older one's answer is dropped
  let incoming = null;          // the picture of the one on its way,
  let early = null;             // and where it was clicked last, as shares of its width and height

  const opening = {
    photo: null,                // {token, file, picture, width, height} of what the stage shows
    get isArriving() { return arriving; },

    /** Opens a photo; `work` is what was done on it before, in a page before this one. */
    async open(file, work = null, isRestored = false) {
      part.stage.scrollIntoView({block: 'nearest'});
      if (file.size > limits.max_mb * 1e6) {
        return fail('The file is larger than ' + limits.max_mb + ' MB; use a smaller photo.');
      }
      const mine = ++count;
      early = null;
      calm();
      const started = performance.now();
      let doing = 'Encoding the photo…';
      const clock = setInterval(() => {
        const shown = root.dataset.model === 'loaded' ? doing : 'The model is still being loaded…';
        if (mine === count) busy(shown + ' ' + ((performance.now() - started) / 1000).toFixed(1) + ' s');
      }, 100);
      arriving = true;
      keep(isRestored ? null : file);
      busy('Opening the photo…');
      try {
        const picture = await localPicture(file);
        if (picture && mine === count) showIncoming(picture);
        const reply = await openOnServer(file, (before) => {
          if (before > 1) doing = 'Waiting in line, ' + before + ' photos were before yours…';
        });
        if (mine !== count) return;
        if (!reply.ok) return fail(reply.error);
        const [height, width] = reply.size;
        const usable = picture && !reply.preview && sameShape(picture, width, height);
        const photo = {token: reply.token, file, width, height, picture: usable ? picture : await serverPicture(reply.token)};
        if (mine !== count) return;
        const place = usable && early && {x: Math.floor(early.x * width), y: Math.floor(early.y * height)};
        onOpened(photo, reply, work, place);
      } catch (error) {
        if (mine === count) fail('The photo could not be opened: ' + error.message);
      } finally {
        clearInterval(clock);
        if (mine === count) opening.end();
      }
    },

    async openExample(example) {
      try {
        const response = await fetch(fileUrl(example.path));
        if (!response.ok) throw new Error('HTTP ' + response.status);
        const blob = await response.blob();
        opening.open(new File([blob], example.name + '.jpg', {type: blob.type}));
      } catch (error) {
        fail('The example could not be loaded. Check the connection and try again.');
      }
    },

    /** The server has forgotten the photo: send it again and keep everything on the page. */
    async reopen() {
      const forgotten = opening.photo;
      busy('Opening the photo again…');
      const reply = await openOnServer(forgotten.file);
      busy('');
      if (opening.photo !== forgotten) return true;
      if (!reply.ok) { fail(reply.error); return false; }
      opening.photo = {...forgotten, token: reply.token};
      onReopened(reply);
      return true;
    },

    /** No photo is on its way any longer: it has arrived, or is given up for the one on the stage. */
    end() {
      count++;
      arriving = false;
      keep(null);
      part.incoming.hidden = true;
      incoming = null;
      busy('');
    },
  };

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

  /** The photo on its way, over the one that stays if it cannot be opened. */
  function showIncoming(picture) {
    incoming = picture;
    if (!opening.photo) reserve(picture.width, picture.height);
    part.incoming.hidden = false;
    drawIncoming();
  }

  function drawIncoming() {
    const [width, height] = fitted(incoming.width, incoming.height, 1024);
    part.incoming.width = width;
    part.incoming.height = height;
    const context = part.incoming.getContext('2d');
    context.drawImage(incoming, 0, 0, width, height);
    if (!early) return;
    const {scale} = incomingRoom();
    context.scale(1 / scale, 1 / scale);        // so that the marker is as large as any
    drawPoint(context, {x: early.x * width * scale, y: early.y * height * scale}, 1);
  }

  /** How large a pixel of that canvas shows, and where its picture begins: it is fitted into its box. */
  function incomingRoom() {
    const {width, height, left, top} = part.incoming.getBoundingClientRect();
    const scale = Math.min(width / part.incoming.width, height / part.incoming.height);
    return {scale, left: left + (width - scale * part.incoming.width) / 2, top: top + (height - scale * part.incoming.height) / 2};
  }

  // A click on a photo that is still on its way is answered when it has arrived.
  part.incoming.addEventListener('click', (event) => {
    const {scale, left, top} = incomingRoom();
    const x = (event.clientX - left) / scale / part.incoming.width, y = (event.clientY - top) / scale / part.incoming.height;
    if (!incoming || x < 0 || y < 0 || x >= 1 || y >= 1) return;
    early = {x, y};
    drawIncoming();
  });

  return opening;
}

function sameShape(picture, width, height) {
  return Math.abs(picture.width * height - picture.height * width) <= Math.max(width, height);
}
