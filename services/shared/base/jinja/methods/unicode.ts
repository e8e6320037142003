import { codeOf } from "../values/code-point.js";
import { spaces } from "../values/spaces.js";

/** Case and kinds of characters as Python's str knows them, where JavaScript has no word for it. */

/** Characters whose title case is neither themselves nor their upper case with the rest lowered. */
const titles = new Map<string, string>([
  ["ŉ", "ʼN"],
  ...[..."ǄǅǆǇǈǉǊǋǌǱǲǳ"].map((character, index) => [character, "ǅǈǋǲ"[Math.floor(index / 3)]!] as const),
  ...["ᾼ", "ῌ", "ῼ"].flatMap((title) => [[title, title] as const, [title.toLowerCase(), title] as const]),
  ...[..."ᾲᾴῂῄῲῴ"].map((character) => [character, `${[...character.toUpperCase()][0]}\u0345`] as const),
  ...[..."ᾷῇῷ"].map((character, index) => [character, `${"ᾼῌῼ"[index]}\u0342`] as const),
]);

/** A character's title case. */
export function titleCase(character: string): string {
  const code = codeOf(character);
  if (code < 0x149) return code === 0xdf ? "Ss" : character.toUpperCase();
  if (code >= 0x10d0 && code <= 0x10ff) return character;
  if (code >= 0x1f80 && code <= 0x1faf) return String.fromCodePoint(code | 8);
  const known = titles.get(character);
  if (known !== undefined) return known;
  const [first, ...rest] = character.toUpperCase();
  return first + rest.join("").toLowerCase();
}

/** Python's str.casefold(). */
export function caseFold(text: string): string {
  let folded = "";
  for (const character of text) {
    const code = codeOf(character);
    if (code < 0x80) folded += character.toLowerCase();
    else if (code === 0x131 || (code >= 0x13a0 && code <= 0x13f5)) folded += character;
    else if (code === 0x1e9e) folded += "ss";
    else if (code >= 0x13f8 && code <= 0x13fd) folded += String.fromCodePoint(code - 8);
    else if (code >= 0xab70 && code <= 0xabbf) folded += String.fromCodePoint(code - 0xab70 + 0x13a0);
    else for (const upper of character.toUpperCase()) folded += upper.toLowerCase();
  }
  return folded;
}

/** Python's str.title(): every run of letters that have case begins with a capital. */
export function titled(text: string): string {
  return text.replace(/[\p{Lowercase}\p{Uppercase}\p{Lt}]+/gu, (word) => {
    const [first = ""] = word;
    return titleCase(first) + word.toLowerCase().slice(first.toLowerCase().length);
  });
}

/** Python's str.capitalize(). */
export function capitalized(text: string): string {
  const [first] = text;
  return first === undefined ? "" : titleCase(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

/** Python's str.swapcase(). */
export function swapped(text: string): string {
  const lower = text.toLowerCase();
  let at = 0;
  let result = "";
  for (const character of text) {
    const length = character.toLowerCase().length;
    if (/\p{Uppercase}/u.test(character)) result += lower.slice(at, at + length);
    // Letters in title case are neither.
    else result += /\p{Lowercase}/u.test(character) ? character.toUpperCase() : character;
    at += length;
  }
  return result;
}

const digits =
  "\\p{Nd}\\xb2\\xb3\\xb9\\u1369-\\u1371\\u19da\\u2070\\u2074-\\u2079\\u2080-\\u2089\\u2460-\\u2468\\u2474-\\u247c\\u2488-\\u2490\\u24ea" +
  "\\u24f5-\\u24fd\\u24ff\\u2776-\\u277e\\u2780-\\u2788\\u278a-\\u2792\\u{10a40}-\\u{10a43}\\u{10e60}-\\u{10e68}\\u{11052}-\\u{1105a}\\u{1f100}-\\u{1f10a}";

/** Letters that stand for numbers. */
const numerals =
  "\\u3405\\u3483\\u382a\\u3b4d\\u4e00\\u4e03\\u4e07\\u4e09\\u4e5d\\u4e8c\\u4e94\\u4e96\\u4ebf-\\u4ec0\\u4edf\\u4ee8\\u4f0d" +
  "\\u4f70\\u5104\\u5146\\u5169\\u516b\\u516d\\u5341\\u5343-\\u5345\\u534c\\u53c1-\\u53c4\\u56db\\u58f1\\u58f9\\u5e7a" +
  "\\u5efe-\\u5eff\\u5f0c-\\u5f0e\\u5f10\\u62fe\\u634c\\u67d2\\u6f06\\u7396\\u767e\\u8086\\u842c\\u8cae\\u8cb3\\u8d30" +
  "\\u9621\\u9646\\u964c\\u9678\\u96f6\\uf96b\\uf973\\uf978\\uf9b2\\uf9d1\\uf9d3\\uf9fd\\u{20001}\\u{20064}\\u{200e2}" +
  "\\u{20121}\\u{2092a}\\u{20983}\\u{2098c}\\u{2099c}\\u{20aea}\\u{20afd}\\u{20b19}\\u{22390}\\u{22998}\\u{23b1b}\\u{2626d}" +
  "\\u{2f890}";

const kinds = {
  isalnum: new RegExp(`^[\\p{L}\\p{N}${numerals}]+$`, "u"),
  isalpha: /^\p{L}+$/u,
  isascii: /^[\0-\x7f]*$/,
  isdecimal: /^\p{Nd}+$/u,
  isdigit: new RegExp(`^[${digits}]+$`, "u"),
  isidentifier: /^[\p{XID_Start}_][\p{XID_Continue}]*$/u,
  islower: /^[^\p{Uppercase}\p{Lt}]*\p{Lowercase}[^\p{Uppercase}\p{Lt}]*$/u,
  isnumeric: new RegExp(`^[\\p{N}${numerals}]+$`, "u"),
  isspace: new RegExp(`^[${spaces}]+$`),
  isupper: /^[^\p{Lowercase}\p{Lt}]*\p{Uppercase}[^\p{Lowercase}\p{Lt}]*$/u,
} as const;

/** Names of the questions that {@link isOf} answers. */
export const kindNames = Object.keys(kinds) as readonly (keyof typeof kinds)[];

/** Python's str.isalpha(), isdigit() and so on. */
export function isOf(kind: keyof typeof kinds, text: string): boolean {
  return kinds[kind].test(text);
}

/** Python's str.istitle(): capitals begin words, small letters follow letters, and there is one. */
export function isTitled(text: string): boolean {
  let found = false;
  let inWord = false;
  for (const character of text) {
    const isCapital = /[\p{Uppercase}\p{Lt}]/u.test(character);
    const isSmall = /\p{Lowercase}/u.test(character);
    if ((isCapital && inWord) || (isSmall && !inWord)) return false;
    inWord = isCapital || isSmall;
    found ||= inWord;
  }
  return found;
}
