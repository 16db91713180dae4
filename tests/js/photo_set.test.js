import assert from 'node:assert/strict';
import {test} from 'node:test';

import {neighbour, progressOf, withChange, withPhotos, without} from '../../mobilesam/web/static/core/photo_set.js';

const photo = (key, fields = {}) => ({key, name: key + '.png', file: null, thumbnail: null, count: 0, isDone: false, ...fields});
const SET = ['a', 'b', 'c'].map((key) => photo(key));
const keysOf = (photos) => photos.map(({key}) => key);

test('a photo that is there, or comes twice, is not added again', () => {
  const more = withPhotos(SET, [photo('b', {count: 5}), photo('d'), photo('d', {count: 1})]);
  assert.deepEqual(keysOf(more), ['a', 'b', 'c', 'd']);
  assert.equal(more[1], SET[1]);
  assert.equal(more[3].count, 0);
});

test('a change replaces one photo only', () => {
  const changed = withChange(SET, 'b', {count: 2});
  assert.deepEqual(changed.map(({count}) => count), [0, 2, 0]);
  assert.equal(changed[0], SET[0]);
  assert.equal(SET[1].count, 0);
  assert.deepEqual(withChange(SET, 'x', {count: 2}), SET);
});

test('neighbours end at the ends, and an unknown photo has none', () => {
  assert.equal(neighbour(SET, 'b', 1), SET[2]);
  assert.equal(neighbour(SET, 'b', -1), SET[0]);
  assert.equal(neighbour(SET, 'c', 1), null);
  assert.equal(neighbour(SET, 'a', -1), null);
  assert.equal(neighbour(SET, 'x', 1), null);
  assert.deepEqual(keysOf(without(SET, 'b')), ['a', 'c']);
});

test('progress is what the user says, else whether there are objects', () => {
  assert.deepEqual([photo('a'), photo('a', {count: 1}), photo('a', {isDone: true})].map(progressOf), ['untouched', 'begun', 'done']);
});
