// The browser's decoder, with a worker that the tests play: whose turn it is, and what switches it off.
import assert from 'node:assert/strict';
import {afterEach, beforeEach, mock, test} from 'node:test';

import {createLocalDecoder} from '../../mobilesam/web/static/io/local_decoder.js';

const POINT = {type: 'point', x: 1, y: 2, label: 1}, CROP = {type: 'crop', box: [0, 0, 64, 64]};
const PHOTO = {token: 'a', width: 300, height: 200, decoder: {weights: {}}}, OTHER = {...PHOTO, token: 'b'};
const query = (x) => ({interactions: [{...POINT, x}], clean: true});

let decoder, states, workers, connection, hasHover;

class FakeWorker extends EventTarget {
  constructor() {
    super();
    this.orders = [];
    this.isRunning = true;
    workers.push(this);
  }

  postMessage(order) { this.orders.push(order); }
  terminate() { this.isRunning = false; }
  report(data) { this.dispatchEvent(Object.assign(new Event('message'), {data})); }
  /** What the orders after `open` were about. */
  get asked() { return this.orders.flatMap(({name, query: one}) => (one ? [`${name} ${one.interactions[0].x}`] : [])); }
}

beforeEach(() => {
  [states, workers, connection, hasHover] = [[], [], undefined, true];
  mock.timers.enable({apis: ['setTimeout']});
  globalThis.Worker = FakeWorker;
  globalThis.window = {matchMedia: (wanted) => ({matches: wanted === '(any-hover: hover)' && hasHover})};
  Object.defineProperty(globalThis, 'navigator', {value: {get connection() { return connection; }}, configurable: true});
  decoder = createLocalDecoder((state) => states.push(state));
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

function ready(photo = PHOTO) {
  decoder.open(photo);
  workers.at(-1).report({name: 'opened', token: photo.token});
  return workers.at(-1);
}

test('a photo is prepared once, and then points and boxes on it can be answered', () => {
  assert.ok(!decoder.canAnswer(PHOTO, [POINT]));
  const worker = ready();
  decoder.open(PHOTO);
  assert.deepEqual(worker.orders, [{name: 'open', token: 'a', size: {width: 300, height: 200}, offer: PHOTO.decoder}]);
  assert.deepEqual(states, ['loading', 'ready']);
  assert.ok(decoder.canAnswer(PHOTO, [POINT]));
  assert.ok(!decoder.canAnswer(PHOTO, [CROP, POINT]));
  assert.ok(!decoder.canAnswer(OTHER, [POINT]));
  assert.ok(!decoder.canAnswer(null, [POINT]));
});

test('one order is in the worker, the newest of each kind waits, and replies go first', async () => {
  const worker = ready(), answers = [];
  const note = (answer) => answers.push(answer);
  decoder.outline(query(1)).then(note);
  decoder.outline(query(2)).then(note);
  decoder.outline(query(3)).then(note);
  decoder.reply(query(4)).then(note);
  assert.deepEqual(worker.asked, ['outline 1']);
  for (const answer of ['one', 'four', 'three']) worker.report({name: 'answered', answer});
  assert.deepEqual(worker.asked, ['outline 1', 'reply 4', 'outline 3']);
  await Promise.resolve();
  assert.deepEqual(answers.sort(), ['four', null, 'one', 'three'].sort());
});

test('another photo drops what waits, and late reports about the first are not heard', async () => {
  const worker = ready(), dropped = decoder.reply(query(1));
  decoder.open(OTHER);
  assert.equal(await dropped, null);
  worker.report({name: 'answered', answer: 'late'});
  worker.report({name: 'failed', token: 'a'});
  assert.equal(states.at(-1), 'loading');
  worker.report({name: 'opened', token: 'b'});
  assert.ok(decoder.canAnswer(OTHER, [POINT]));
  assert.equal(workers.length, 1);
});

test('a photo without an embedding is left to the server, the next one is not', () => {
  const worker = ready();
  decoder.open(OTHER);
  worker.report({name: 'failed', token: 'b'});
  assert.equal(states.at(-1), 'refused');
  assert.ok(!decoder.canAnswer(OTHER, [POINT]));
  decoder.open(PHOTO);
  worker.report({name: 'opened', token: 'a'});
  assert.ok(decoder.canAnswer(PHOTO, [POINT]));
});

test('an error, a script that does not load and a late answer end it until it is stopped', async () => {
  const ends = [
    (worker) => worker.report({name: 'failed', token: null}),
    (worker) => worker.dispatchEvent(new Event('error')),
    () => mock.timers.tick(2200),
  ];
  for (const end of ends) {
    decoder = createLocalDecoder((state) => states.push(state));
    const worker = ready(), answer = decoder.reply(query(1));
    end(worker);
    assert.equal(await answer, null);
    assert.equal(states.at(-1), 'off');
    assert.ok(!worker.isRunning);
    const count = workers.length;
    decoder.open(OTHER);
    assert.equal(workers.length, count);
    decoder.stop();
    assert.equal(states.at(-1), 'idle');
    assert.notEqual(ready(), worker);
    assert.equal(states.at(-1), 'ready');
  }
});

test('an answer in time is not late, and many corrections have more time', async () => {
  const worker = ready(), first = decoder.reply(query(1));
  mock.timers.tick(1900);
  worker.report({name: 'answered', answer: 'first'});
  assert.equal(await first, 'first');
  decoder.reply({interactions: Array(10).fill(POINT), clean: true});
  mock.timers.tick(3900);
  assert.equal(states.at(-1), 'ready');
});

test('it can be stopped and started again', async () => {
  const worker = ready(), answer = decoder.outline(query(1));
  decoder.stop();
  assert.equal(await answer, null);
  assert.ok(!worker.isRunning);
  assert.equal(states.at(-1), 'idle');
  assert.notEqual(ready(), worker);
  assert.equal(states.at(-1), 'ready');
});

test('no worker is started for fingers alone, a user who saves data, or without SIMD', () => {
  const hindrances = [() => { hasHover = false; }, () => { connection = {saveData: true}; }, () => mock.method(WebAssembly, 'validate', () => false)];
  for (const hinder of hindrances) {
    [connection, hasHover] = [{saveData: false}, true];
    decoder = createLocalDecoder((state) => states.push(state));
    hinder();
    decoder.open(PHOTO);
    assert.equal(states.at(-1), 'off');
  }
  assert.equal(workers.length, 0);
});

test('a server that offers no decoder is not asked for one', () => {
  decoder.open({...PHOTO, decoder: null});
  assert.deepEqual([workers, states], [[], []]);
});
