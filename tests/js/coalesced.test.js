import assert from 'node:assert/strict';
import {test} from 'node:test';

import {coalesced} from '../../mobilesam/web/static/core/coalesced.js';

const flush = () => new Promise((resolve) => { setImmediate(resolve); });

test('calls during a run lead to one more run after it', async () => {
  const ends = [];
  const call = coalesced(() => new Promise((resolve) => { ends.push(resolve); }));
  call();
  call();
  call();
  assert.equal(ends.length, 1);
  ends[0]();
  await flush();
  assert.equal(ends.length, 2);
  ends[1]();
  await flush();
  assert.equal(ends.length, 2);
});

test('a run that fails does not prevent the next one', async () => {
  let runs = 0;
  const call = coalesced(async () => { if (++runs === 1) throw new Error('once'); });
  await assert.rejects(call(), /once/);
  await call();
  assert.equal(runs, 2);
});
