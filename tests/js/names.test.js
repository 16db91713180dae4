import assert from 'node:assert/strict';
import {test} from 'node:test';

import {createTimedNames, quoted} from '../../mobilesam/web/static/core/names.js';

test('a photo without a name is called by the time, and no two alike', () => {
  let time = new Date(2026, 10, 26, 14, 25, 30);
  const nameOf = createTimedNames(() => time);
  assert.equal(nameOf('pasted', 'image/png'), 'pasted-2026-11-26-142530.png');
  assert.equal(nameOf('pasted', 'image/jpeg'), 'pasted-2026-11-26-142530-2.jpg');
  assert.equal(nameOf('pasted', 'image/png'), 'pasted-2026-11-26-142530-3.png');
  assert.equal(nameOf('camera', 'image/jpeg'), 'camera-2026-11-26-142530.jpg');
  time = new Date(2027, 0, 2, 3, 4, 5);
  assert.equal(nameOf('pasted', 'image/webp'), 'pasted-2027-01-02-030405.webp');
  assert.equal(nameOf('dropped', 'image/svg+xml'), 'dropped-2027-01-02-030405.svg');
});

test('only a name from right to left is isolated from what is around it', () => {
  assert.equal(quoted('cup'), '“cup”');
  assert.equal(quoted('чашка 2'), '“чашка 2”');
  for (const name of ['فنجان', 'ספל', 'cup فنجان', '۲ می‌رود']) assert.equal(quoted(name), `“\u2068${name}\u2069”`);
});
