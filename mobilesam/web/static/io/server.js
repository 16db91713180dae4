// @ts-check
// How the page reaches the server: the functions that Gradio offers it, uploads, and the files to fetch.

/**
 * @typedef {{ok: false, seq?: number, error: string, expired?: boolean, isLost?: boolean}} Refusal - isLost: no answer came
 * @typedef {Refusal | {ok: true, seq?: number, [field: string]: any}} Reply
 * @typedef {(name: string, query: object, onTrouble?: () => void) => Promise<Reply>} Call
 */

// This module is <root>/<folder of static files>/io/server.js.
const API_URL = new URL('../../gradio_api/', import.meta.url).href;
const RETRY_DELAYS_MS = [500, 1000, 2000, 4000, 8000];
const NO_ANSWER = 'The server does not answer. Your work is kept. Check the connection and try again.';
const UPLOAD_FAILED = 'The photo could not be uploaded. Check the connection and try again.';
const UPLOAD_TOO_LARGE = 'The server refused the file because it is too large. '
  + 'Use a smaller photo, or raise the proxy\'s upload limit.';

/** @param {number} ms */
export const wait = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * The address of a file that the server hands out.
 * @param {string} path - on the server
 */
export function fileUrl(path) {
  return API_URL + 'file=' + path.split('/').map(encodeURIComponent).join('/');
}

/**
 * Wraps Gradio's server functions: network trouble is retried for a while, then becomes an error reply.
 * @param {Record<string, (query: object) => Promise<Reply | undefined>>} functions
 * @returns {Call}
 */
export function createCall(functions) {
  return async function call(name, query, onTrouble = () => {}) {
    for (const delay of [...RETRY_DELAYS_MS, null]) {
      try {
        const reply = await functions[name](query);
        if (reply && typeof reply.ok === 'boolean') return reply;
      } catch { /* no network, or the server is restarting: tried again below */ }
      onTrouble();
      if (delay !== null) await wait(delay);
    }
    return {ok: false, error: NO_ANSWER, isLost: true};
  };
}

/**
 * Uploads a file. Gradio's own `upload` does not tell a refusal from a lost connection.
 * @param {File} file
 * @returns {Promise<Reply>} with `path`, where the file is on the server
 */
export async function upload(file) {
  const body = new FormData();
  body.append('files', file);
  try {
    const response = await fetch(API_URL + 'upload', {method: 'POST', body});
    if (response.status === 413) return {ok: false, error: UPLOAD_TOO_LARGE};
    if (!response.ok) return {ok: false, error: UPLOAD_FAILED};
    const [path] = await response.json();
    return {ok: true, path};
  } catch {
    return {ok: false, error: UPLOAD_FAILED};
  }
}
