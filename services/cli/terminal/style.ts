import { Writable } from "node:stream";
import { styleText } from "node:util";

/** Where text goes to: a terminal or not. */
export type Out = NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };

const formats = ["bold", "dim", "red", "green", "yellow", "cyan"] as const;

/** Styles of a text, by name. */
export type Style = Readonly<Record<(typeof formats)[number], (text: string) => string>>;

/** Styles for text that goes to one stream: plain where it is no terminal or NO_COLOR is set, whatever the others are; FORCE_COLOR overrides. */
export function styleFor(stream: Out): Style {
  // What isn't a stream of Node's is no terminal either; styleText() refuses it.
  const target = stream instanceof Writable ? stream : new Writable();
  const one = (format: (typeof formats)[number]) => (text: string) => styleText(format, text, { stream: target });
  return Object.fromEntries(formats.map((format) => [format, one(format)])) as Style;
}

/** Columns of a terminal; no limit for a file or a pipe. */
export const columnsOf = ({ isTTY, columns }: Out): number => (isTTY ? columns || 80 : Number.POSITIVE_INFINITY);
