/** Python's whitespace, as the inside of a character class. */
export const spaces = "[ \\t\\n\\r\\f\\v\\x1c-\\x1f\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";

/** What ends a line to str.splitlines(). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python ends lines at these separators too
export const lineEnd = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/u;
