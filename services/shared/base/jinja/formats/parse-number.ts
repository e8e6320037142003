import { raise } from "../fault.js";
import { codeOf } from "../values/code-point.js";
import { stripLeft, stripRight } from "../values/spaces.js";

/** Digits of any script as ASCII digits; other characters stay. Unicode's decimal digits come in runs of ten, from zero on. */
function asciiDigits(text: string): string {
  return text.replace(/(?![0-9])\p{Nd}/gu, (digit) => {
    const code = codeOf(digit);
    let before = 0;
    while (/\p{Nd}/u.test(String.fromCodePoint(code - before - 1))) before++;
    return String(before % 10);
  });
}

/** Python's int(text, base); raises ValueError. */
export function parseIntText(source: string, base = 10): bigint {
  const text = asciiDigits(stripLeft(stripRight(source)));
  const fail = () => raise("ValueError", `invalid literal for int() with base ${base}: '${source}'`);
  if (base !== 0 && (base < 2 || base > 36)) raise("ValueError", "int() base must be >= 2 and <= 36, or 0");
  const match = /^([+-]?)(0[box](?=_?[\da-z]))?_?([\da-z]+(?:_[\da-z]+)*)$/i.exec(text);
  if (match === null || text.replace(/^[+-]/, "").startsWith("_")) return fail();
  const prefix = match[2]?.toLowerCase();
  const own = prefix === undefined ? 10 : { "0b": 2, "0o": 8, "0x": 16 }[prefix]!;
  const radix = base === 0 ? own : base;
  let digits = match[3]!.replaceAll("_", "").toLowerCase();
  if (prefix !== undefined && radix !== own) digits = prefix + digits;
  if (base === 0 && prefix === undefined && /^0+[1-9]/.test(digits)) return fail();
  // Python's own limit, without which reading takes time that is quadratic in the digits.
  if (digits.length > 4300)
    raise("ValueError", `Exceeds the limit (4300 digits) for integer string conversion: value has ${digits.length} digits`);
  let value = 0n;
  for (const digit of digits) {
    const worth = Number.parseInt(digit, 36);
    if (!(worth < radix)) return fail();
    value = value * BigInt(radix) + BigInt(worth);
  }
  return match[1] === "-" ? -value : value;
}

/** Python's float(text); raises ValueError. */
export function parseFloatText(source: string): number {
  const text = asciiDigits(stripLeft(stripRight(source))).toLowerCase();
  const special = /^([+-]?)(inf|infinity|nan)$/.exec(text);
  if (special !== null) return special[2] === "nan" ? Number.NaN : special[1] === "-" ? -Infinity : Infinity;
  if (!/^[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)(e[+-]?\d+(_\d+)*)?$/.test(text))
    raise("ValueError", `could not convert string to float: '${source}'`);
  return Number(text.replaceAll("_", ""));
}
