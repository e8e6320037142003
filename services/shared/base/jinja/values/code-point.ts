/** The number that Unicode gives to a text's first character; 0 of an empty text. */
export const codeOf = (text: string): number => text.codePointAt(0) ?? 0;
