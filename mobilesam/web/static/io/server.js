// Requests to the server: Gradio's server functions, uploads, and the addresses of files.

// This module is <root>/<folder of static files>/io/server.js.
const API_URL = new URL('../../gradio_api/', import.meta.url).href;
const RETRY_DELAYS_MS = [500, 1000, 2000, 4000, 8000, 8000, 8000];      // a restart of the server takes a while
const MODEL_PAUSE_MS = 1000;
const MAX_REPAIRS = 2;          // of a call: the photo, and then its crops
const NO_ANSWER = 'The server does not answer. Your work is kept. Check the connection and try again.';
const NO_ANSWER_TO_MUCH = 'The server does not answer so large a request. Your work is kept. '
  + 'Check the connection, or raise the proxy\'s upload limit, and try again.';
const MUCH = 1e6;               // characters; nginx refuses larger requests unless told otherwise
const UPLOAD_FAILED = 'The photo could not be uploaded. Check the connection and try again.';
const UPLOAD_TOO_LARGE = 'The server refused the file because it is too large. '
  + 'Use a smaller photo, or raise the proxy\'s upload limit.';

/** As where a proxy sends the requests of one page to several servers, each of which knows its own photos. */
export const LOST_EACH_TIME = 'The server loses the photo each time. Reload the page. If that does not help, '
  + 'the site must send all requests of a browser to the same server.';

export const wait = (/** @type {number} */ ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** The address of a file on the server. @param {string} path */
export const fileUrl = (path) => API_URL + 'file=' + path.split('/').map(encodeURIComponent).join('/');

/** Wraps Gradio's server functions: a call without an answer is repeated for a while, then becomes an error reply.
 * @type {(functions: Record<string, (query: object) => Promise<ServerReply | undefined>>) => Call} */
export function createCall(functions) {
  return async (name, query, onTrouble = () => {}) => {
    for (const delay of [...RETRY_DELAYS_MS, null]) {
      try {
        const reply = await functions[name](query);
        if (reply && typeof reply.ok === 'boolean') return reply;
      } catch { /* no network, or the server is restarting: tried again below */ }
      onTrouble();
      if (delay !== null) await wait(delay);
    }
    const isLarge = JSON.stringify(query).length > MUCH;
    return {ok: false, error: isLarge ? NO_ANSWER_TO_MUCH : NO_ANSWER, isLost: true};
  };
}

/** Makes calls about a photo: they carry its token, and end if another one takes its place (`current` says which). If the server no longer knows the photo, `reopen` opens it
 * again first; if crops of it are missing, they are encoded first.
 * @type {(call: Call, token: () => string | undefined, reopen: () => Promise<ServerReply>, current?: () => unknown) => Call} */
export function createAsk(call, token, reopen, current = () => null) {
  /** @type {(crops: Box[]) => Promise<ServerReply>} */
  async function encode(crops) {
    for (const crop of crops) {
      const reply = await call('encode_crop', {crop, token: token()});
      if (!reply.ok) return reply;
    }
    return {ok: true};
  }

  return async (name, query, onTrouble) => {
    const photo = current();
    for (let repairs = 0; ; repairs++) {
      const reply = await call(name, {...query, token: token()}, onTrouble);
      if (reply.ok || !(reply.expired || reply.crops)) return reply;
      if (repairs === MAX_REPAIRS) return reply.expired ? {...reply, error: LOST_EACH_TIME} : reply;
      const repaired = reply.crops ? await encode(reply.crops) : await reopen();
      if (!repaired.ok) return repaired;
      if (current() !== photo) return {ok: false, error: 'Another photo was opened.'};
    }
  };
}

/** Asks about the model until it is loaded or has failed to load. @param {Call} call */
export async function waitForModel(call) {
  for (;;) {
    const reply = await call('model_info', {});
    if (reply.ok ? reply.loaded : !reply.isLost) return reply;
    await wait(MODEL_PAUSE_MS);
  }
}

/** Uploads a file; the reply has its `path` on the server. The name is random, because Gradio stores equal files of
 * one name once, and opening the photo moves the file. Gradio's own function does not distinguish a refusal from a
 * lost connection.
 * @type {(file: File) => Promise<ServerReply>} */
export async function upload(file) {
  const body = new FormData();
  body.append('files', file, crypto.getRandomValues(new Uint32Array(4)).join('-'));
  const response = await fetch(API_URL + 'upload', {method: 'POST', body}).catch(() => null);
  if (response?.status === 413) return {ok: false, error: UPLOAD_TOO_LARGE};
  const paths = response?.ok && await response.json().catch(() => null);
  return paths ? {ok: true, path: paths[0]} : {ok: false, error: UPLOAD_FAILED};
}
