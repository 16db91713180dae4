import assert from 'node:assert/strict';
import {test} from 'node:test';

import {coverage, decodeForDisplay, decodeRle, displaySize, hasPixel, insideRanges, parseCounts, rangesIou} from '../../mobilesam/web/static/core/rle.js';
import {discRle, rleOf, rowsOf} from './masks.js';

// Made with pycocotools: `pycocotools.mask.encode(numpy.asfortranarray(mask.astype("uint8")))`.
const NOISE = {size: [5, 7], counts: '3110001020O0N31M11O'};
const NOISE_ROWS = ['.###...', '....#.#', '.#..###', '#...#..', '...##..'];
const EMPTY = {size: [3, 4], counts: '<'}, FULL = {size: [3, 4], counts: '0<'};
const COLUMNS = {size: [6, 8], counts: '<b08@0'};           // mask[:, 2:5] = mask[2:4, 6] = True
const TALL = {size: [3000, 4000], counts: 'Tiak2`g2X6000QXYb8aXMY_i]G'};   // mask[100:2900, 1000:1003] = mask[5, 3999] = True
// A ring in 300 x 400: radii 90 and 30 around (250, 120), 22,624 pixels.
const RING = {size: [300, 400], counts: 'ho^11n8j0^O:F:H6J6J6K4K6K4L4L4M2M4L4M2M4M2M4M2N2N2N2M4M2N2N2N2N2N2N2O0O2N2N2N2N2O0O2N2O0O2N2O0O2O0O2N2O0O2O0O2O0O2O000O2O0O2O00[MnK0Q4J]L0b3MdL0\\3MjL0U30mL0R3NRM0n2NVM0i20YM0f2O\\M0d2O^M0b2O`M0`2ObM0]20eM0Z20fM0Z2OhM0X20hM0X2OjM0U20mM0R20nM0R20nM0R2OPN0P20PN0P20PN0P2ORN0n10RN0n10RN0n10RN0n10RN0n10RN0n10RN0m10UN0k10SN0n10RN0n10RN0n10RN0n10RN0n10RN0n10RN0n11PN0P20PN0P20PN0P21nM0R20nM0R20nM0S20kM0V21hM0X20hM0X21fM0Z20fM0[20cM0^21`M0`21^M0b21\\M0d21ZM0g20WM0j22RM0n22nL0S30kL0V33dL0\\33^L0c36oK0R4e2001N101N10001N101N101N101N2N101N101N2N101N2N101N2N2N2N2N101N2N2N2N2N2N2N3L3N2N2N2N3L3N3L3N3L4L3N3L4L4L5J5L5J6J6J8F:Fb0VOiUa0'};

test('the counts of pycocotools become run lengths, zeros first', () => {
  assert.deepEqual(parseCounts(EMPTY.counts), [12]);
  assert.deepEqual(parseCounts(FULL.counts), [0, 12]);
  assert.deepEqual(parseCounts(COLUMNS.counts), [12, 18, 8, 2, 8]);
});

test('masks of pycocotools are decoded at their own size', () => {
  assert.deepEqual(rowsOf(decodeRle(NOISE)), NOISE_ROWS);
  assert.deepEqual(rowsOf(decodeRle(EMPTY)), ['....', '....', '....']);
  assert.deepEqual(rowsOf(decodeRle(FULL)), ['####', '####', '####']);
  assert.deepEqual(rowsOf(decodeRle(COLUMNS))[2], '..###.#.');
  assert.equal(decodeRle(RING).data.reduce((sum, value) => sum + value), 22624);
});

test('what is decoded and encoded again is the same text', () => {
  for (const rle of [NOISE, EMPTY, FULL, COLUMNS, RING, TALL]) assert.deepEqual(rleOf(decodeRle(rle)), rle);
});

// Expected rows made with numpy: mask[np.ix_(floor((arange(h) + .5) * H / h), floor((arange(w) + .5) * W / w))].
test('a mask is decoded at another size by the nearest pixel', () => {
  assert.deepEqual(rowsOf(decodeRle(RING, [9, 12])), [
    '............', '......###...', '.....#####..', '.....##.##..', '.....##.##..', '......###...', '............',
    '............', '............']);
  assert.deepEqual(rowsOf(decodeRle(RING, [7, 11])), [
    '...........', '.....####..', '....##..#..', '.....####..', '.....###...', '...........', '...........']);
  assert.deepEqual(rowsOf(decodeRle(NOISE, [3, 4])), ['.#..', '..##', '..#.']);
  assert.deepEqual(rowsOf(decodeRle(NOISE, [8, 9])), [
    '.####....', '.####....', '.....#..#', '.##..####', '.##..####', '#....#...', '....##...', '....##...']);
});

test('the nearest pixel is taken at every size', () => {
  const source = decodeRle(NOISE), [height, width] = NOISE.size;
  for (let toHeight = 1; toHeight <= 13; toHeight++) {
    for (let toWidth = 1; toWidth <= 13; toWidth++) {
      const expected = Array.from({length: toHeight}, (_, y) => Array.from({length: toWidth}, (_, x) => {
        const column = Math.floor((x + 0.5) * width / toWidth), row = Math.floor((y + 0.5) * height / toHeight);
        return source.data[column * height + row] ? '#' : '.';
      }).join(''));
      assert.deepEqual(rowsOf(decodeRle(NOISE, [toHeight, toWidth])), expected, `${toHeight} x ${toWidth}`);
    }
  }
});

test('the display size has the longest side asked for, and small masks are not enlarged', () => {
  assert.deepEqual(displaySize(TALL, 1024), [768, 1024]);
  assert.deepEqual(displaySize(NOISE, 1024), [5, 7]);
  assert.deepEqual(decodeForDisplay(TALL, 100).size, [75, 100]);
});

test('coverage is the share of the pixels inside', () => {
  assert.equal(coverage(EMPTY), 0);
  assert.equal(coverage(FULL), 1);
  assert.equal(coverage(COLUMNS), 20 / 48);
  assert.equal(coverage(TALL), 8401 / 12e6);
});

test('the IoU of ranges', () => {
  assert.equal(rangesIou([0, 4], [0, 4]), 1);
  assert.equal(rangesIou([0, 4], [2, 6]), 2 / 6);
  assert.equal(rangesIou([0, 4, 10, 12], [3, 11]), 2 / 12);             // it touches both
  assert.equal(rangesIou([0, 2, 4, 6, 8, 10], [5, 6, 9, 20]), 2 / 16);
  for (const none of [[], [4, 5]]) assert.equal(rangesIou(none, [0, 4]), 0);
  assert.equal(rangesIou([], []), 0);
});

test('a pixel is looked up in the runs', () => {
  NOISE_ROWS.forEach((row, y) => [...row].forEach((sign, x) => assert.equal(hasPixel(NOISE, x, y), sign === '#')));
  assert.ok(hasPixel(TALL, 3999, 5));
  assert.ok(!hasPixel(TALL, 3999, 4));
  assert.ok(!hasPixel(NOISE, 7, 0));
});

test('a mask of 12 megapixels at display size costs what its outline costs', () => {
  const {rle, area} = discRle(3000, 4000, 2100, 1500, 1400);
  assert.equal(coverage(rle), area / 12e6);
  const times = Array.from({length: 10}, () => {
    const started = performance.now();
    decodeForDisplay(rle, 1024);
    return performance.now() - started;
  });
  assert.ok(Math.min(...times) < 10, `${Math.min(...times)} ms`);
  assert.ok(insideRanges(rle, [768, 1024]).length / 2 <= 768);      // one range a column, not one a pixel
});
