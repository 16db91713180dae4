// How the page asks the server: retries, photos that the server forgot, polling.
import assert from 'node:assert/strict';
import {afterEach, mock, test} from 'node:test';

import {createDownloads} from '../../mobilesam/web/static/io/downloads.js';
import {createMaskGeneration} from '../../mobilesam/web/static/io/mask_generation.js';
import {createPhotoLoader} from '../../mobilesam/web/static/io/photo_loader.js';
import {LOST_EACH_TIME, createAsk, createCall, upload, waitForModel} from '../../mobilesam/web/static/io/server.js';

const FILE = new File(['x'], 'a.png');
const EXPIRED = {ok: false, expired: true, error: 'Gone.'};
const flush = () => new Promise((resolve) => { setImmediate(resolve); });

afterEach(() => mock.reset());
afterEach(() => mock.timers.reset());

/** A call that gives these replies one after the other, and keeps what was asked. */
function scripted(...replies) {
  const queries = [];
  const call = async (_, query) => {
    queries.push(query);
    return replies.shift();
  };
  return {call, queries};
}

function uploadsAnswer(status, body) {
  return mock.method(globalThis, 'fetch', async () => new Response(body, {status}));
}

test('a call is repeated until an answer comes', async () => {
  mock.timers.enable({apis: ['setTimeout']});
  const answers = [() => { throw new Error('no network'); }, () => undefined, () => ({ok: true})];
  const troubles = mock.fn();
  const reply = createCall({f: async () => answers.shift()()})('f', {}, troubles);
  for (let k = 0; k < 4; k++) { await flush(); mock.timers.tick(8000); }
  assert.deepEqual(await reply, {ok: true});
  assert.equal(troubles.mock.callCount(), 2);
});

test('a call that is never answered ends with a sentence', async () => {
  mock.timers.enable({apis: ['setTimeout']});
  let isOver = false;
  const reply = createCall({f: async () => undefined})('f', {}).finally(() => { isOver = true; });
  for (let k = 0; k < 30; k++) { await flush(); mock.timers.tick(1000); }
  assert.ok(!isOver);                   // a restart of the server may take half a minute
  for (let k = 0; k < 8; k++) { await flush(); mock.timers.tick(8000); }
  const {ok, error, isLost} = await reply;
  assert.equal(ok, false);
  assert.ok(isLost);
  assert.match(error, /does not answer/);
});

test('a large call that is never answered may be too large for a proxy', async () => {
  mock.timers.enable({apis: ['setTimeout']});
  const reply = createCall({f: async () => undefined})('f', {text: 'x'.repeat(1e6)});
  for (let k = 0; k < 8; k++) { await flush(); mock.timers.tick(8000); }
  const {error, isLost} = await reply;
  assert.ok(isLost);
  assert.match(error, /so large a request.*proxy's upload limit/);
});

test('a photo that the server forgets again and again ends with a sentence', async () => {
  const {call, queries} = scripted(EXPIRED, EXPIRED, EXPIRED, {ok: true});
  const reply = await createAsk(call, () => 't', async () => ({ok: true}))('segment', {});
  assert.deepEqual(reply, {...EXPIRED, error: LOST_EACH_TIME});
  assert.equal(queries.length, 3);
});

test('a photo that the server forgot is opened again, and the call repeated with its new token', async () => {
  let token = 'old';
  const {call, queries} = scripted(EXPIRED, {ok: true});
  const reopen = mock.fn(async () => { token = 'new'; return {ok: true}; });
  assert.deepEqual(await createAsk(call, () => token, reopen)('segment', {side: 1}), {ok: true});
  assert.deepEqual(queries.map((query) => query.token), ['old', 'new']);
  assert.equal(reopen.mock.callCount(), 1);
});

test('where a photo cannot be opened again, the reason is what the user reads', async () => {
  const refusal = {ok: false, error: 'The server is busy.'};
  assert.equal(await createAsk(scripted(EXPIRED).call, () => 't', async () => refusal)('export', {}), refusal);
});

test('crops that a call needs are encoded one after the other, and the call repeated', async () => {
  const missing = {ok: false, error: 'Not encoded.', crops: [[0, 0, 90, 90], [5, 5, 95, 95]]};
  const {call, queries} = scripted(EXPIRED, missing, {ok: true}, {ok: true}, {ok: true, path: 'p'});
  const reopen = async () => ({ok: true});
  assert.equal((await createAsk(call, () => 't', reopen)('export', {kind: 'yolo'})).path, 'p');
  assert.deepEqual(queries.map(({kind, crop}) => kind ?? String(crop)), ['yolo', 'yolo', '0,0,90,90', '5,5,95,95', 'yolo']);
});

test('a call whose crops cannot be encoded gets the reason, and a lasting lack of them ends it', async () => {
  const missing = {ok: false, error: 'Not encoded.', crops: [[0, 0, 90, 90]]}, busy = {ok: false, error: 'Busy.'};
  assert.equal(await createAsk(scripted(missing, busy).call, () => 't', async () => busy)('segment', {}), busy);
  const {call, queries} = scripted(missing, {ok: true}, missing, {ok: true}, missing);
  assert.equal(await createAsk(call, () => 't', async () => busy)('segment', {}), missing);
  assert.equal(queries.length, 5);
});

test('the model is asked about until it is loaded, through lost answers', async () => {
  mock.timers.enable({apis: ['setTimeout']});
  const loaded = {ok: true, loaded: true, device: 'CPU'};
  const {call, queries} = scripted({ok: true, loaded: false}, {ok: false, isLost: true, error: ''}, loaded);
  const reply = waitForModel(call);
  for (let k = 0; k < 3; k++) { await flush(); mock.timers.tick(1000); }
  assert.equal(await reply, loaded);
  assert.equal(queries.length, 3);
});

test('a model that cannot be loaded is not asked about again', async () => {
  const failed = {ok: false, error: 'The model could not be loaded.'};
  assert.equal(await waitForModel(scripted(failed).call), failed);
});

test('an upload that a proxy refuses as too large has a sentence of its own', async () => {
  uploadsAnswer(413, '<html>413 Request Entity Too Large</html>');
  assert.match((await upload(FILE)).error, /too large.*proxy's upload limit/);
  uploadsAnswer(502, 'Bad gateway');
  assert.match((await upload(FILE)).error, /Check the connection/);
});

test('equal photos are uploaded under names that differ, so that the server stores each', async () => {
  const uploads = uploadsAnswer(200, '["/uploads/a.png"]');
  for (let k = 0; k < 2; k++) assert.ok((await upload(FILE)).ok);
  const [one, other] = uploads.mock.calls.map(({arguments: [, {body}]}) => body.get('files').name);
  assert.notEqual(one, other);
});

function opened(replies, isWanted = () => true) {
  const {call, queries} = scripted(...replies), texts = [];
  const uploads = uploadsAnswer(200, '["/uploads/a.png"]');
  const reply = createPhotoLoader(call).open(FILE, (text) => texts.push(text), isWanted);
  return {reply, queries, texts, uploads};
}

const waiting = (state, position = 0) => ({ok: true, token: 't', state, position});
const DONE = {ok: true, token: 't', state: 'done', size: [2, 3]};

test('opening a photo is polled, and tells the position in the queue', async () => {
  const {reply, queries, texts} = opened([waiting('loading_model'), waiting('queued', 2), waiting('queued', 1), waiting('encoding'), DONE]);
  assert.equal(await reply, DONE);
  assert.deepEqual(queries[0], {path: '/uploads/a.png', name: 'a.png'});
  assert.ok(queries.slice(1).every(({token, path}) => token === 't' && !path));
  assert.deepEqual(texts.slice(2), [
    'Loading the model…', '2 photos are ahead of yours…', '1 photo is ahead of yours…', 'Encoding the photo…',
  ]);
});

test('a photo that the server forgets is uploaded again, but not for ever', async () => {
  const once = opened([waiting('queued', 1), EXPIRED, DONE]);
  assert.equal(await once.reply, DONE);
  assert.equal(once.uploads.mock.callCount(), 2);
  const always = opened([EXPIRED, EXPIRED, EXPIRED, EXPIRED]);
  assert.deepEqual(await always.reply, {...EXPIRED, error: LOST_EACH_TIME});
  assert.equal(always.uploads.mock.callCount(), 3);
});

test('a photo that is encoded slowly is not given up', async () => {
  let now = 0;
  mock.method(performance, 'now', () => (now += 100_000));
  const {reply} = opened([...Array(20).fill(waiting('encoding')), DONE]);
  assert.equal(await reply, DONE);
});

test('a photo that is no longer wanted is not asked about again', async () => {
  let wanted = 3;
  const {reply, queries} = opened(Array(10).fill(waiting('queued', 5)), () => --wanted > 0);
  await reply;
  assert.equal(queries.length, 2);
});

function generating(...replies) {
  const {call, queries} = scripted(...replies), phases = [], onMasks = mock.fn(), onError = mock.fn();
  const generation = createMaskGeneration({ask: call, onMasks, onError, onProgress: ({phase}) => phases.push(phase)});
  return {generation, queries, phases, onMasks, onError};
}

const step = (ids, masks, finished = false) => ({ok: true, generation: 'g', done: 1, total: 4, finished, ids, masks: masks.map((id) => ({id}))});

test('mask generation is asked on until every mask has come', async () => {
  const {generation, queries, phases, onMasks} = generating(step([1], [1]), step([1, 2, 3], [2], true), step([1, 2, 3], [3], true));
  generation.start({points_per_side: 8});
  await flush();
  assert.deepEqual(queries.map(({generation: id, after}) => [id, after]), [[null, 0], ['g', 1], ['g', 2]]);
  assert.equal(phases.at(-1), 'finished');
  assert.deepEqual(onMasks.mock.calls.at(-1).arguments, [[1, 2, 3], [{id: 3}]]);
  generation.start({points_per_side: 8});
  assert.equal(queries.length, 3);      // the same options: nothing to do
});

test('a paused mask generation goes on where it was, other options begin anew', async () => {
  const queries = [], answers = [], phases = [];
  const generation = createMaskGeneration({
    ask: (_, query) => { queries.push(query); return new Promise((resolve) => { answers.push(resolve); }); },
    onMasks() {}, onError: assert.fail, onProgress: ({phase}) => phases.push(phase),
  });
  const answer = async (reply) => { answers.at(-1)(reply); await flush(); };
  generation.start({a: 1});
  await answer(step([1], [1]));
  generation.pause();
  await answer(step([1, 2], [2]));
  assert.equal(queries.length, 2);
  assert.equal(phases.at(-1), 'paused');
  generation.start({a: 1});
  await answer(step([1, 2], [2], true));
  assert.equal(phases.at(-1), 'finished');
  generation.start({a: 2});
  assert.deepEqual(queries.slice(2), [{generation: 'g', options: {a: 1}, after: 1}, {generation: null, options: {a: 2}, after: 0}]);
});

test('a mask generation that the server forgot begins anew, and an error pauses it', async () => {
  const {generation, queries, phases, onMasks, onError} = generating(step([1], [1]), EXPIRED, step([5], [5]), {ok: false, error: 'Too much.'});
  generation.start({});
  await flush();
  assert.deepEqual(queries.map(({generation: id, after}) => [id, after]), [[null, 0], ['g', 1], [null, 0], ['g', 5]]);
  assert.ok(onMasks.mock.calls.some(({arguments: [ids]}) => ids.length === 0));
  assert.equal(phases.at(-1), 'paused');
  assert.equal(onError.mock.calls[0].arguments[0], 'Too much.');
});

/** Downloads whose server answers, and the names that were saved. */
function savingDownloads(t, reply = {ok: true, path: '/a/cat.png', name: 'cat.png'}) {
  const saved = [], asked = [], failures = [];
  globalThis.document = {createElement: () => ({click() { saved.push(this.download); }})};
  t.after(() => { delete globalThis.document; });
  const downloads = createDownloads({
    async ask(_, query) { asked.push(query); return reply; }, setBusy() {}, fail(text) { failures.push(text); return null; },
  });
  return {downloads, saved, asked, failures};
}

test('a double click on a download asks for the file once', async (t) => {
  const {downloads, saved} = savingDownloads(t);
  const times = [1000, 1200, 1300, 1900];
  mock.method(performance, 'now', () => times.shift());
  assert.equal(await downloads.save({kind: 'mask'}), true);
  assert.equal(await downloads.save({kind: 'mask'}), false);
  assert.equal(await downloads.save({kind: 'cutout'}), true);    // another button
  assert.equal(await downloads.save({kind: 'cutout'}), true);    // later
  assert.equal(saved.length, 3);
});

test('a cut-out has its place in the photo and its pixels', async (t) => {
  const {downloads, asked} = savingDownloads(t, {ok: true, path: '/a/cat.png', name: 'cat.png', corner: [3, 4]});
  uploadsAnswer(200, 'pixels');
  const {blob, ...cutout} = await downloads.cutout({interactions: []});
  assert.deepEqual(asked, [{kind: 'cutout', interactions: []}]);
  assert.equal(await blob.text(), 'pixels');
  assert.match(cutout.url, /file=\/a\/cat[.]png$/);
  assert.deepEqual([cutout.name, cutout.corner], ['cat.png', [3, 4]]);
});

test('a cut-out that cannot be made or downloaded is one sentence', async (t) => {
  await assert.rejects(savingDownloads(t, {ok: false, error: 'The mask is empty.'}).downloads.cutout({}), /The mask is empty/);
  uploadsAnswer(404, '');
  await assert.rejects(savingDownloads(t).downloads.cutout({}), /could not be downloaded/);
});

test('a photo that is encoded ahead is not uploaded again when it is opened', async () => {
  const {call, queries} = scripted(waiting('queued'), waiting('encoding'), DONE, DONE);
  const uploads = uploadsAnswer(200, '["/uploads/a.png"]');
  const loader = createPhotoLoader(call);
  await loader.prepare(FILE);
  assert.deepEqual(queries.map(({ahead}) => ahead), [true, true, true]);
  await loader.prepare(FILE);
  assert.equal(await loader.open(FILE, () => {}, () => true), DONE);
  assert.deepEqual(queries.slice(3), [{token: 't'}]);
  assert.equal(uploads.mock.callCount(), 1);
});

test('a photo that is opened while it is being encoded ahead goes on, without waiting for an idle server', async () => {
  const {call, queries} = scripted(waiting('queued'), waiting('queued'), DONE, DONE, DONE);
  const uploads = uploadsAnswer(200, '["/uploads/a.png"]');
  const loader = createPhotoLoader(call), prepared = loader.prepare(FILE);
  assert.equal(await loader.open(FILE, () => {}, () => true), DONE);
  await prepared;
  assert.equal(uploads.mock.callCount(), 1);
  assert.ok(queries.some(({token, ahead}) => token && !ahead));
});

test('a photo that could not be encoded ahead is opened as any other', async () => {
  const {call} = scripted({ok: false, error: 'busy'}, DONE);
  const uploads = uploadsAnswer(200, '["/uploads/a.png"]');
  const loader = createPhotoLoader(call);
  await loader.prepare(FILE);
  assert.equal(await loader.open(FILE, () => {}, () => true), DONE);
  assert.equal(uploads.mock.callCount(), 2);
});

test('a photo that the server has forgotten is uploaded', async () => {
  const {call, queries} = scripted(DONE, EXPIRED, DONE, DONE);
  const uploads = uploadsAnswer(200, '["/uploads/a.png"]');
  const loader = createPhotoLoader(call), open = () => loader.open(FILE, () => {}, () => true);
  await open();
  assert.equal(await open(), DONE);
  assert.equal(uploads.mock.callCount(), 2);
  loader.forget(FILE);
  await open();
  assert.equal(uploads.mock.callCount(), 3);
  assert.ok(queries.at(-1).path);
});

test('the server holds a few photos, and is told which ones are not needed', async () => {
  let count = 0;
  const closed = [];
  const call = async (name, query) => {
    if (name === 'close') closed.push(...query.tokens);
    return {...DONE, token: String(count++)};
  };
  uploadsAnswer(200, '["/uploads/a.png"]');
  const loader = createPhotoLoader(call);
  for (let k = 0; k < 6; k++) await loader.open(new File([String(k)], k + '.png'), () => {}, () => true);
  assert.equal(closed.length, 2);
  assert.equal(closed[0], '0');
});
