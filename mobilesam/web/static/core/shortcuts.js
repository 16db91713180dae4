// Which shortcut a key press means, on every keyboard layout.

/** @typedef {Pick<KeyboardEvent, 'key' | 'code' | 'keyCode' | 'isComposing' | 'shiftKey' | 'ctrlKey' | 'altKey' | 'metaKey'>
 *   & {getModifierState: (name: string) => boolean}} KeyPress */

const INPUT_METHOD = 229;       // the keyCode of a key that an input method takes; in Safari its only sign
const BRACKETS = ['[', ']'];
const US_SIGNS = /** @type {Record<string, string>} */ ({BracketLeft: '[', BracketRight: ']', Minus: '-', Equal: '='});

/** Whether the key belongs to an input method, such as the Enter that ends a composition.
 * @type {(press: Pick<KeyPress, 'isComposing' | 'keyCode'>) => boolean} */
export const isForInputMethod = ({isComposing, keyCode}) => isComposing || keyCode === INPUT_METHOD;

/** Whether a key types a letter or digit of another script than Latin, or an accent for the next letter. */
const isOtherScript = (/** @type {string} */ key) => (
  key === 'Dead' || key === 'Unidentified' || /[^\P{L}\p{Script=Latin}]|[^\P{Nd}0-9]/u.test(key));

/** What a key types on a US keyboard; '' for a key without a letter, digit or sign.
 * @type {(press: KeyPress) => string} */
function typedInUs({code, shiftKey}) {
  if (code === 'Slash' && shiftKey) return '?';
  return /^(?:Key|Digit|Numpad)([A-Z0-9])$/.exec(code)?.[1].toLowerCase() ?? US_SIGNS[code] ?? '';
}

/** The name of the shortcut that a key press means, and its function in one of the tables, without Ctrl (or Cmd) and with it:
 * what the key types counts first. Where that is in another script, the place of the key on a US keyboard counts, as it does
 * for a digit that needs Shift. 'shift+1' is the key of that digit with Shift, on every layout. Null for any other key.
 * @template Act @param {KeyPress} press @param {Record<string, Act>} plain @param {Record<string, Act>} withCtrl
 * @returns {{name: string, act: Act} | null} */
export function shortcutOf(press, plain, withCtrl) {
  if (isForInputMethod(press)) return null;
  const {ctrlKey, altKey, metaKey, shiftKey, code} = press;
  const typed = press.key.normalize('NFKC').replace('\u061f', '?').toLowerCase();        // the Arabic question mark
  // AltGr and Option type signs, and Alt belongs to the browser. Windows reports AltGr as Ctrl and Alt, too.
  const isAlt = altKey || press.getModifierState('AltGraph'), acts = (ctrlKey || metaKey) && !isAlt ? withCtrl : plain;
  const names = isAlt ? BRACKETS : Object.keys(acts);
  const countsPlace = !isAlt && (isOtherScript(press.key) || (/^Digit/.test(code) && !shiftKey));
  const [, shifted] = (shiftKey && !isAlt && /^Digit(\d)$/.exec(code)) || [];
  const name = [/\d/.test(typed) ? '' : typed, shifted ? 'shift+' + shifted : '', typed, countsPlace ? typedInUs(press) : '']
    .find((one) => names.includes(one));
  return name === undefined ? null : {name, act: acts[name]};
}
