// Files of masks: saved at the photo's own size, and opened again.

const MASKS_FILE_MOST = 20e6;

/** Whether a file that was dropped or opened holds masks rather than a photo. */
function isMasksFile({name, type}) {
  return type === 'application/json' || /\.json$/i.test(name);
}

/**
 * Downloads and loads.
 *   token(): of the open photo, or null; reopen(): has the server know it again
 *   busy(text), fail(text): progress and errors
 */
function createDownloads({token, reopen, busy, fail}) {
  /** A server function's reply, on the photo opened afresh where the server has forgotten it. */
  async function ask(name, query) {
    const reply = await callServer(name, {...query, token: token()});
    return reply.expired && await reopen() ? callServer(name, {...query, token: token()}) : reply;
  }

  /** Has a file made: the reply with its path and name. */
  const made = (query) => ask('export', query);

  /** Has a file made and saves it; whether that worked. */
  async function save(query) {
    busy('Preparing the file…');
    const reply = await made(query);
    busy('');
    if (!reply.ok) { fail(reply.error); return false; }
    const link = document.createElement('a');
    link.href = fileUrl(reply.path);
    link.download = reply.name;
    link.click();
    return true;
  }

  return {
    made,
    save,
    /** The masks in a COCO or labelme file, for `objects.add`; null where there are none. */
    async load(file, side) {
      if (!token()) { fail('Open the photo first, then the masks that belong to it.'); return null; }
      if (file.size > MASKS_FILE_MOST) { fail('The file of masks is larger than 20 MB; split it by photo.'); return null; }
      busy('Reading the masks…');
      const asked = token();
      const reply = await file.text().then((text) => ask('load', {text, side}),
        () => ({ok: false, error: 'The file could not be read. Choose it again.'}));
      busy('');
      if (!reply.ok) { fail(reply.error); return null; }
      return reply.objects;
    },
  };
}
