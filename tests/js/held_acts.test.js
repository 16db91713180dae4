import assert from 'node:assert/strict';
import {beforeEach, test} from 'node:test';

import {createHeldActs} from '../../mobilesam/web/static/core/held_acts.js';

let done, current, held;
const act = (name) => () => { done.push(name); };

beforeEach(() => {
  done = [];
  current = [{type: 'point'}];
  held = createHeldActs(() => current);
});

test('without an act that waits, others are done at once', () => {
  held.inTurn(act('click'));
  assert.equal(held.hold(act('name')), false);
  assert.deepEqual(done, ['click']);
});

test('acts wait behind the first one, and are done in their order and once', () => {
  held.wait(act('keep'));
  assert.equal(held.hold(act('name')), true);
  held.inTurn(act('click'));
  assert.deepEqual(done, []);
  held.release();
  held.release();
  assert.deepEqual(done, ['keep', 'name', 'click']);
});

test('acts that wait for other interactions are dropped', () => {
  held.wait(act('keep'));
  current = [...current, {type: 'point'}];
  held.inTurn(act('click'));
  held.release();
  assert.deepEqual(done, ['click']);
});

test('an act that waits in turn has those behind it wait too', () => {
  held.wait(() => {
    current = [{type: 'box'}];
    held.wait(act('keep another'));
  });
  held.hold(act('name'));
  held.release();
  assert.deepEqual(done, []);
  held.release();
  assert.deepEqual(done, ['keep another', 'name']);
});
