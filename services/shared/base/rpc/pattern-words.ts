const name = (most: number): string =>
  `must have 1 to ${most} lower-case letters (a-z), digits and hyphens, and begin and end with a letter or digit`;

/** What is said of a text that isn't of a proto's `pattern`: how it must be. Every pattern of proto/ has its words. */
export const patternWords: Readonly<Record<string, string>> = {
  "^(RETORT_TEACHER_TOKEN(_[A-Z0-9_]{1,64})?)?$":
    "must be RETORT_TEACHER_TOKEN, or begin with RETORT_TEACHER_TOKEN_ and go on with 1 to 64 capital letters (A-Z), digits and underscores",
  "^([a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?)?$": name(31),
  "^[0-9a-f]{64}$": "must be a SHA-256: 64 hexadecimal digits, in lower case",
  "^[A-Za-z0-9_-]{0,128}$": "must have at most 128 letters (a-z, A-Z), digits, hyphens and underscores",
  "^[a-z0-9]([a-z0-9-]{0,39}[a-z0-9])?$": name(41),
  "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": name(63),
  "^https?://[^\\s/?#@]+(/[^\\s?#]*)?$":
    "must be http://HOST:PORT or https://HOST:PORT, with a path if the server has one, and without user, query and spaces",
};
