import assert from 'node:assert/strict';
import {test} from 'node:test';

import {PALETTE, pixelOf} from '../../mobilesam/web/static/core/palette.js';

test('a colour is a pixel with red in the lowest byte', () => {
  assert.equal(pixelOf('#1e8aff', 0x6b), 0x6bff8a1e);
  assert.equal(pixelOf('#000000', 0xff), 0xff000000);
  assert.equal(pixelOf('#804020', 0xff, 0.5), 0xff102040);
});

test('any two colours are far apart', () => {
  const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  PALETTE.forEach((one, k) => PALETTE.slice(k + 1).forEach((other) => {
    const [a, b] = [channels(one), channels(other)];
    assert.ok(Math.hypot(...a.map((value, channel) => value - b[channel])) > 60, `${one} and ${other}`);
  }));
});
