import { parse } from "lossless-json";

/** A JSON number that a JavaScript number would spell otherwise: 0.10, 1.0, or a whole number beyond 2^53. */
export class SpelledNumber {
  /** As the JSON text has it. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  valueOf(): number {
    return Number(this.text);
  }

  toString(): string {
    return this.text;
  }
}

/**
 * Parses JSON and keeps the spelling of numbers: what JavaScript would write otherwise is a {@link SpelledNumber}. Of a key
 * that is there twice the last value counts, as in Python.
 *
 * @throws SyntaxError with the position
 */
export function parseJson(text: string): unknown {
  return parse(text, undefined, {
    parseNumber: (number) => (String(Number(number)) === number ? Number(number) : new SpelledNumber(number)),
    onDuplicateKey: ({ newValue }) => newValue,
  });
}
