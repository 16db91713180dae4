import assert from 'node:assert/strict';
import {test} from 'node:test';

import {isForInputMethod, shortcutOf} from '../../mobilesam/web/static/core/shortcuts.js';

const table = (names) => Object.fromEntries(names.split(' ').map((name) => [name, name]));
const PLAIN = table('0 1 2 3 + = - _ p [ ] n e r b delete ? escape enter'), WITH_CTRL = table('z y c');

/** The shortcut of a key, by what it types and where it is. Held keys: C(trl), S(hift), A(lt), M(eta), G for AltGr. */
function shortcut(key, code, held = '', more = {}) {
  const press = {
    key, code, keyCode: 0, isComposing: false, ctrlKey: held.includes('C'), shiftKey: held.includes('S'),
    altKey: held.includes('A'), metaKey: held.includes('M'),
    getModifierState: (name) => name === 'AltGraph' && held.includes('G'), ...more,
  };
  const found = shortcutOf(press, PLAIN, WITH_CTRL);
  if (found) assert.equal(found.act, found.name);
  return found && found.name;
}

const CASES = {
  'US': [['n', 'KeyN', '', 'n'], ['N', 'KeyN', 'S', 'n'], ['z', 'KeyZ', 'C', 'z'], ['z', 'KeyZ', 'M', 'z'], ['[', 'BracketLeft', '', '['],
    ['?', 'Slash', 'S', '?'], ['/', 'Slash', '', null], ['!', 'Digit1', 'S', null], ['Escape', 'Escape', '', 'escape'], ['x', 'KeyX', '', null]],
  'Russian': [['т', 'KeyN', '', 'n'], ['Т', 'KeyN', 'S', 'n'], ['з', 'KeyP', '', 'p'], ['я', 'KeyZ', 'C', 'z'], ['Я', 'KeyZ', 'CS', 'z'],
    ['с', 'KeyC', 'M', 'c'], ['х', 'BracketLeft', '', '['], ['ъ', 'BracketRight', '', ']'], [',', 'Slash', 'S', null], ['?', 'Digit7', 'S', '?'],
    ['ё', 'Backquote', '', null], ['т', 'KeyN', 'A', null]],
  'Greek': [['ν', 'KeyN', '', 'n'], ['π', 'KeyP', '', 'p'], ['ζ', 'KeyZ', 'C', 'z'], [';', 'KeyQ', '', null]],
  'Hebrew': [['מ', 'KeyN', '', 'n'], ['ז', 'KeyZ', 'C', 'z'], ['/', 'KeyQ', '', null], [']', 'BracketLeft', '', ']']],
  'Arabic': [['ى', 'KeyN', '', 'n'], ['ئ', 'KeyZ', 'C', 'z'], ['لا', 'KeyB', '', 'b'], ['؟', 'Slash', 'S', '?'], ['١', 'Digit1', '', '1']],
  'Persian digits': [['۲', 'Digit2', '', '2'], ['۳', 'Numpad3', '', '3']],
  'Korean': [['ㅜ', 'KeyN', '', 'n'], ['ㅋ', 'KeyZ', 'C', 'z']],
  'AZERTY': [['z', 'KeyW', 'C', 'z'], ['w', 'KeyZ', 'C', null], ['&', 'Digit1', '', '1'], ['é', 'Digit2', '', '2'], ['"', 'Digit3', '', '3'],
    ['à', 'Digit0', '', '0'], ['1', 'Digit1', 'S', '1'], ['-', 'Digit6', '', '-'], ['[', 'Digit5', 'G', '['], ['é', 'Digit2', 'S', null],
    ['?', 'KeyM', 'S', '?'], ['&', 'Digit1', 'C', null]],
  'QWERTZ': [['z', 'KeyY', 'C', 'z'], ['y', 'KeyZ', 'C', 'y'], ['[', 'Digit8', 'CA', '['], ['[', 'Digit8', 'G', '['], [']', 'Digit6', 'A', ']'],
    ['ü', 'BracketLeft', '', null], ['?', 'Minus', 'S', '?'], ['ß', 'Minus', '', null], ['!', 'Digit1', 'S', null], ['+', 'BracketRight', '', '+']],
  'Spanish': [['[', 'BracketLeft', 'G', '['], ['Dead', 'BracketLeft', '', '[']],
  'a Mac': [['[', 'Digit5', 'A', '['], ['“', 'BracketLeft', 'A', null], ['Dead', 'KeyN', 'A', null], ['˜', 'KeyN', 'A', null]],
  'the browser': [['n', 'KeyN', 'A', null], ['1', 'Digit1', 'A', null], ['p', 'KeyP', 'C', null], ['е', 'KeyT', 'C', null], ['[', 'BracketLeft', 'M', null]],
  'the number pad': [['+', 'NumpadAdd', '', '+'], ['-', 'NumpadSubtract', '', '-'], ['1', 'Numpad1', '', '1'], ['End', 'Numpad1', '', null],
    ['Enter', 'NumpadEnter', '', 'enter'], ['Delete', 'NumpadDecimal', '', 'delete']],
  'full-width letters': [['ｎ', 'KeyN', '', 'n'], ['？', 'Slash', 'S', '?']],
};
for (const [layout, presses] of Object.entries(CASES)) {
  test(`shortcuts on: ${layout}`, () => {
    for (const [key, code, held, name] of presses) {
      assert.equal(shortcut(key, code, held), name, `${key} at ${code} with ${held || 'nothing'} held`);
    }
  });
}

test('a key that an input method takes is no shortcut', () => {
  assert.equal(shortcut('n', 'KeyN', '', {isComposing: true}), null);
  assert.equal(shortcut('Enter', 'Enter', '', {keyCode: 229}), null);
  assert.equal(shortcut('Process', 'KeyN', '', {keyCode: 229}), null);
  assert.equal(shortcut('z', 'KeyZ', 'C', {isComposing: true}), null);
  assert.equal(isForInputMethod({isComposing: false, keyCode: 13}), false);
});

test('Shift with a digit is a separate shortcut on every layout, unless it types another shortcut', () => {
  const plain = {'1': 'first', '+': 'larger', 'shift+1': 'class 1'}, none = {'1': 'first', '+': 'larger'};
  const press = (key, shiftKey, code = 'Digit1') => (
    {key, code, shiftKey, keyCode: 0, isComposing: false, ctrlKey: false, altKey: false, metaKey: false, getModifierState: () => false});
  assert.equal(shortcutOf(press('!', true), plain, {}).act, 'class 1');
  assert.equal(shortcutOf(press('1', true), plain, {}).act, 'class 1');       // AZERTY
  assert.equal(shortcutOf(press('&', false), plain, {}).act, 'first');
  assert.equal(shortcutOf(press('1', false), plain, {}).act, 'first');
  assert.equal(shortcutOf(press('+', true), plain, {}).act, 'larger');        // Swiss
  assert.equal(shortcutOf(press('1', true), none, {}).act, 'first');
  assert.equal(shortcutOf(press('!', true), none, {}), null);
});
