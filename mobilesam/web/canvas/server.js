// The conversation with Python: one click in flight, the newest wins, stale replies are dropped.

const OPEN_TIMEOUT_MS = 180000;
const SLOW_MS = 400;            // a wait that a person notices
const RETRY_DELAYS_MS = [500, 1000, 2000, 4000, 8000];
const NO_ANSWER = 'The server does not answer. Your clicks are kept; check the connection and click again.';

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Where Gradio serves a file of its own. */
function fileUrl(path) {
  const root = (window.gradio_config && window.gradio_config.root) || location.origin + location.pathname;
  return root.replace(/[/]+$/, '') + '/gradio_api/file=' + path.split('/').map(encodeURIComponent).join('/');
}

/** A server function's reply; network trouble is retried for a while, then becomes an error reply. */
async function callServer(name, query, onTrouble = () => {}) {
  for (const delay of [...RETRY_DELAYS_MS, null]) {
    try {
      const reply = await server[name](query);
      if (reply && typeof reply.ok === 'boolean') return reply;
    } catch (error) { /* no network, or the server is restarting: tried again below */ }
    onTrouble();
    if (delay !== null) await wait(delay);
  }
  return {ok: false, seq: query.seq, error: NO_ANSWER};
}

/** Uploads a file and has it encoded; resolves to the reply of `desk.open`, when its turn has come. */
function createOpener() {
  const waiting = new Map();
  let tickets = 0;
  watch('opened', () => {
    const reply = props.opened;
    const resolve = reply && waiting.get(reply.seq);
    if (resolve) { waiting.delete(reply.seq); resolve(reply); }
  });
  return async function open(file, onLine = () => {}) {
    const ticket = ++tickets;
    let uploaded;
    try {
      const place = await server.line({});
      if (!place.ok) return place;
      onLine(place.before);
      uploaded = await upload(file);
    } catch (error) {
      return {ok: false, error: 'The photo could not be uploaded. Check the connection and try again.'};
    }
    const answered = new Promise((resolve) => waiting.set(ticket, resolve));
    const photo = {path: uploaded.path, url: uploaded.url, orig_name: file.name, meta: {_type: 'gradio.FileData'}};
    props.value = {photo, ticket};
    await wait(0);              // Gradio passes the value on before the event reads it
    trigger('photo', {});
    const late = wait(OPEN_TIMEOUT_MS).then(() => ({ok: false, error: 'Opening the photo took too long. Try again.'}));
    return Promise.race([answered, late]);
  };
}

/** Asks for the mask of the newest state, never more than one question at a time. */
function createAsker({current, onAsk, onSlow, onReply, reopen}) {
  let busy = false, again = false, seq = 0;
  async function ask() {
    if (busy) { again = true; return; }
    const question = current();
    if (!question) return;
    busy = true;
    const slow = setTimeout(() => onSlow('Finding the mask…'), SLOW_MS);
    try {
      onAsk(++seq);
      const query = {seq, token: question.token, history: question.history, side: question.side};
      const reply = await callServer('segment', query, () => onSlow('No answer yet, trying again…'));
      if (reply.expired && await reopen()) again = true;    // the same prompts, on the photo opened afresh
      else if (question.isCurrent()) onReply(reply);
    } finally {
      clearTimeout(slow);
      onSlow('');
      busy = false;
    }
    if (again) { again = false; ask(); }
  }
  return ask;
}
