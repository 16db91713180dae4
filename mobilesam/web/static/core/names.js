// Names of objects in sentences, and names for photos that have none.

const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;
const ENDINGS = /** @type {Record<string, string>} */ ({'image/jpeg': 'jpg', 'image/svg+xml': 'svg'});

/** A name in quotation marks. One that is written from right to left does not change the order of what is around it. */
export const quoted = (/** @type {string} */ name) => (RIGHT_TO_LEFT.test(name) ? `“\u2068${name}\u2069”` : `“${name}”`);

/** Makes names of files from a word and the local time, each another one: 'pasted-2026-11-26-142530.png'.
 * @type {(now?: () => Date) => (word: string, type: string) => string} */
export function createTimedNames(now = () => new Date()) {
  let last = '', count = 0;
  return (word, type) => {
    const time = now(), twoDigits = (/** @type {number} */ number) => String(number).padStart(2, '0');
    const day = [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(twoDigits).join('-');
    const stem = `${word}-${day}-${[time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join('')}`;
    [last, count] = [stem, stem === last ? count + 1 : 1];
    return `${stem}${count > 1 ? `-${count}` : ''}.${ENDINGS[type] ?? type.split('/')[1]}`;
  };
}
