/**
 * Reading the labels a person typed, by the same rules as the service: Han characters make a label Chinese, and two
 * labels are the same if they differ only in case or character width. The service has the last word.
 */

const HAN = /[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{323af}]/u;
const SEPARATORS = /[\n,，、]/u;
const PAIR_SIGN = /[=＝]/u;

/**
 * Read labels, one a line or separated by commas; `english = 中文`, in either order, gives both languages.
 *
 * @returns {{labels: {en?: string, zh?: string}[], problem: ?{key: string, values: object}}} the labels in order, and
 *   the first problem as a message key with its values, or null
 */
export function parseLabels(text) {
  const labels = [];
  const positions = new Map();
  let problem = null;
  for (const part of text
    .split(SEPARATORS)
    .map((piece) => piece.trim())
    .filter(Boolean)) {
    const label = parseLabel(part);
    if (!label) {
      problem ??= { key: "badPair", values: { label: part } };
      continue;
    }
    labels.push(label);
    const key = (label.en ?? label.zh).normalize("NFKC").toLowerCase();
    if (positions.has(key)) {
      problem ??= { key: "repeated", values: { label: part, first: positions.get(key), second: labels.length } };
    } else {
      positions.set(key, labels.length);
    }
  }
  return { labels, problem };
}

/** The value that `POST /recognize` takes for a label: a plain string, or an object for a pair. */
export function labelValue(label) {
  return label.en && label.zh ? label : (label.en ?? label.zh);
}

/** A label's texts with their languages, the preferred language first; absent texts are left out. */
export function labelTexts(label, preferred) {
  const order = preferred === "zh" ? ["zh", "en"] : ["en", "zh"];
  return order.filter((language) => label[language]).map((language) => ({ language, text: label[language] }));
}

function parseLabel(part) {
  if (!PAIR_SIGN.test(part)) return HAN.test(part) ? { zh: part } : { en: part };
  const sides = part.split(PAIR_SIGN).map((side) => side.trim());
  if (sides.length !== 2 || sides.some((side) => !side)) return null;
  const [left, right] = sides;
  if (HAN.test(left) === HAN.test(right)) return null;
  return HAN.test(right) ? { en: left, zh: right } : { en: right, zh: left };
}
