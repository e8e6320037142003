import { raise, refuse } from "../fault.js";

const simple: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

const escapes = /\\(?:([0-7]{1,3})|x([\da-fA-F]{0,2})|u([\da-fA-F]{0,4})|U([\da-fA-F]{0,8})|(.))/gsu;

/** The text of a string literal's inside, with the escapes of Python's strings; unknown escapes stay as they are. */
export function unescapeText(inside: string, line: number): string {
  if (!inside.includes("\\")) return inside;
  return inside.replace(escapes, (whole, octal?: string, x?: string, u?: string, long?: string, other = "") => {
    if (octal !== undefined) return codePoint(Number.parseInt(octal, 8), line);
    if (x !== undefined) return hex(x, 2, "xXX", line);
    if (u !== undefined) return hex(u, 4, "uXXXX", line);
    if (long !== undefined) return hex(long, 8, "UXXXXXXXX", line);
    if (other === "N") refuse("a character by its name (\\N{…})");
    return simple[other] ?? whole;
  });
}

function hex(digits: string, length: number, form: string, line: number): string {
  if (digits.length < length) raise("TemplateSyntaxError", `truncated \\${form} escape`, line);
  return codePoint(Number.parseInt(digits, 16), line);
}

function codePoint(code: number, line: number): string {
  if (code > 0x10ffff) raise("TemplateSyntaxError", "illegal Unicode character", line);
  if (code >= 0xd800 && code < 0xe000) refuse("half of a surrogate pair (\\ud800 to \\udfff)");
  return String.fromCodePoint(code);
}
