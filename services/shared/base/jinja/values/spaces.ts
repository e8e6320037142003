/** What Python takes for white space in texts, as the inside of a regular expression's character class. */
export const spaces = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const left = new RegExp(`^[${spaces}]+`);
const space = new RegExp(`[${spaces}]`);

/** str.lstrip() */
export function stripLeft(text: string): string {
  return text.replace(left, "");
}

/** str.rstrip() */
export function stripRight(text: string): string {
  let end = text.length;
  while (end > 0 && space.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** Whether a character is white space to Python. */
export function isSpace(character: string): boolean {
  return space.test(character);
}
