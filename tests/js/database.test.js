// The browser's database, with an indexedDB that the tests play.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {openDatabase} from '../../mobilesam/web/static/io/database.js';

/** Opens the database; `react` gets the request. */
function opening(react) {
  const request = {};
  globalThis.indexedDB = {open: () => request};
  const opened = openDatabase();
  react(request);
  return opened;
}

test('an older page that keeps the database leaves this one without it', async () => {
  await assert.rejects(Promise.race([
    opening((request) => request.onblocked?.()), new Promise((resolve) => { setTimeout(resolve, 50); }),
  ]), /older format/);
});

test('a database that opens lets go when a newer page needs it', async () => {
  let isClosed = false;
  const database = await opening((request) => {
    request.result = {close() { isClosed = true; }};
    request.onsuccess();
  });
  database.onversionchange();
  assert.ok(isClosed);
});
