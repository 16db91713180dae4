import assert from 'node:assert/strict';
import {test} from 'node:test';

import {isProjectFile, readProject, writeProject} from '../../mobilesam/web/static/core/project_file.js';
import {rleOf} from './masks.js';

const RLE = rleOf(['##..', '##..']);
const REPLY = {rle: RLE, coverage: 0.5, index: 1, predicted_iou: 0.9, candidates: [{rle: RLE, predicted_iou: 0.8}], ms: 12};
const ITEM = {
  id: 3, name: 'cat', colour: '#1e8aff', visible: false, clean: true, reply: REPLY, original: null, predicted_iou: null,
  undo: {states: [[], [{type: 'point', x: 1, y: 2, label: 1}], [{type: 'mask', rle: RLE}]], index: 1},
};
const WORK = {items: [ITEM], active: 3, exclusive: 'later'};
const photo = (key, file = null) => ({key, name: key + '.png', size: [200, 300], isDone: true, work: WORK, file});
const asFile = (blob) => new File([blob], 'a.mobilesam');
const textFile = (text) => new File([text], 'a.mobilesam');
const header = (change = {}) => ({
  format: 'mobilesam-project', version: 1, classes: ['cat'], photos: [{...photo('a'), file: undefined, bytes: 0, type: ''}], ...change,
});

test('a project comes back with its photos, byte by byte', async () => {
  const contents = [new Uint8Array([1, 10, 2, 10, 255]), new Uint8Array(200000).fill(10)];
  const photos = [photo('a', new File([contents[0]], 'a.png', {type: 'image/png'})), photo('b'),
    photo('c', new File([contents[1]], 'c.png', {type: 'image/jpeg'}))];
  const project = await readProject(asFile(writeProject({classes: ['cat', 'dog'], photos})));
  assert.deepEqual(project.classes, ['cat', 'dog']);
  assert.deepEqual(project.photos.map(({key, name, size, isDone}) => [key, name, size, isDone]),
    ['a', 'b', 'c'].map((key) => [key, key + '.png', [200, 300], true]));
  assert.equal(project.photos[1].file, null);
  for (const [index, content] of [[0, contents[0]], [2, contents[1]]]) {
    const {file} = project.photos[index];
    assert.deepEqual(new Uint8Array(await file.arrayBuffer()), content);
    assert.equal(file.type, photos[index].file.type);
  }
  assert.deepEqual(project.photos[0].work, {...WORK, items: [{...ITEM, reply: {...REPLY, ms: 0}}]});
});

test('without photos a project is one line of JSON', async () => {
  const text = await writeProject({classes: [], photos: [photo('a')]}).text();
  assert.equal(JSON.parse(text).photos[0].name, 'a.png');
  assert.equal((await readProject(textFile(JSON.stringify(header())))).photos.length, 1);
});

const item = (change) => header({photos: [{...header().photos[0], work: {...WORK, items: [{...ITEM, ...change}]}}]});
const HOSTILE = {
  'no JSON': '{', 'a list': '[]', 'null': 'null', 'another format': JSON.stringify({format: 'x'}),
  'no photos': JSON.stringify(header({photos: null})),
  'classes that are numbers': JSON.stringify(header({classes: [1]})),
  'a photo beyond the end': JSON.stringify(header({photos: [{...header().photos[0], bytes: 5000}]})),
  'a negative length': JSON.stringify(header({photos: [{...header().photos[0], bytes: -5}]})),
  'a photo with a size and no work': JSON.stringify(header({photos: [{...header().photos[0], work: null}]})),
  'no objects': JSON.stringify(header({photos: [{...header().photos[0], work: {...WORK, items: []}}]})),
  'an unknown interaction': JSON.stringify(item({undo: {states: [[{type: 'script'}]], index: 0}})),
  'an undo stack beyond its end': JSON.stringify(item({undo: {states: [[]], index: 1}})),
  'a mask without a size': JSON.stringify(item({reply: {...REPLY, rle: {counts: ''}}})),
  'a name that is no text': JSON.stringify(item({name: {}})),
};
for (const [what, text] of Object.entries(HOSTILE)) {
  test(`a project with ${what} is refused with a sentence`, async () => {
    await assert.rejects(readProject(textFile(text)), /no project of this page, or it is damaged/);
  });
}

test('a photo that was never opened is in the project without work', async () => {
  const {photos} = await readProject(asFile(writeProject({classes: [], photos: [{...photo('a'), size: null, work: null}]})));
  assert.deepEqual([photos[0].key, photos[0].size, photos[0].work], ['a', null, null]);
});

test('a colour that is none becomes one of the palette: it is written into a style', async () => {
  const {photos} = await readProject(textFile(JSON.stringify(item({colour: 'url(https://example.com/x)'}))));
  assert.match(photos[0].work.items[0].colour, /^#[0-9a-f]{6}$/);
});

test('a newer project asks for a newer page', async () => {
  await assert.rejects(readProject(textFile(JSON.stringify(header({version: 2})))), /newer version/);
});

test('a project is known by its extension', () => {
  assert.deepEqual(['a.mobilesam', 'A.MOBILESAM', 'a.json', 'mobilesam'].map((name) => isProjectFile({name})), [true, true, false, false]);
});
