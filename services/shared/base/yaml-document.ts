import type { Document, Node, YAMLError } from "yaml";
import { type Place, RetortError } from "./errors.js";

/** The library that reads YAML. It is handed in: a role loads it when there is something to read, and the page has it built in. */
export type YamlLibrary = typeof import("yaml");

/** Most bytes of a YAML document. */
export const mostYamlBytes = 4 * 2 ** 20;

/** Most pieces of one: marks, texts and the space between them. Far more than a spec has, and read within a second. */
const mostPieces = 300_000;

/** Most aliases, and most values that one may stand for, for each that is written out. */
const [mostAliases, mostMultiplied] = [1000, 100];

/** Most characters and values that a document may stand for, its aliases written out. */
const mostMeant = 2 ** 24;

/** Most faults that are named at once. */
const mostFaults = 20;

/** Most lists and maps within each other. */
const deepest = 100;

/** Keys and indices that lead to a value. */
export type YamlPath = readonly (string | number)[];

/** A YAML document that was read. */
export interface YamlDocument {
  readonly value: unknown;
  /** Where the value at a path stands, or its key; of the nearest that is there, for a path that leads to nothing. */
  placeOf(path: YamlPath, of?: "key" | "value"): Place;
}

/**
 * Reads a YAML document. Errors name the places and the kinds of all faults, never what stands there: the file may be another's.
 *
 * @param what names it in errors: its path
 * @throws InvalidArgument if it is no YAML, has a key twice, aliases that multiply, or is too large or too deep
 */
export function readYamlWith(yaml: YamlLibrary, text: string, what: string): YamlDocument {
  const refused = (why: string, offsets: readonly number[] = []) =>
    new RetortError("InvalidArgument", `${what} ${why}`, {
      problems: offsets.map((offset) => ({ fieldPath: "", description: why, place: at(offset) })),
    });
  if (new TextEncoder().encode(text).length > mostYamlBytes)
    throw refused(`has more than ${mostYamlBytes} bytes of YAML; leave out what is not needed`);
  const { LineCounter, parseDocument } = yaml;
  const lineCounter = new LineCounter();
  const at = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { file: what, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const inWords = (offset: number) => `line ${at(offset).line}, column ${at(offset).column}`;
  const outline = outlineOf(yaml, text);
  if (outline) throw refused(outline);
  try {
    // Its own check for keys that are there twice is quadratic.
    const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false, lineCounter, logLevel: "error" });
    const faults = document.errors.slice(0, mostFaults);
    if (faults.length) {
      const said = faults.map((fault) => `${kindOf(fault)} at ${inWords(fault.pos[0])}`);
      throw refused(
        `is not YAML: ${said.join("; ")}`,
        faults.map(({ pos }) => pos[0]),
      );
    }
    const twice = keysTwice(yaml, document).slice(0, mostFaults);
    if (twice.length)
      throw refused(`has the same key twice in one map, again at ${twice.map(inWords).join("; ")}; keep one of them`, twice);
    const value: unknown = document.toJS({ maxAliasCount: mostMultiplied });
    if (weightOf(value, new Map()) > mostMeant) throw refused("has aliases that stand for too much in all; write out what they stand for");
    return { value, placeOf: (path, of = "value") => at(offsetOf(yaml, document, path, of)) };
  } catch (error) {
    if (error instanceof RetortError) throw error;
    const { name } = error as Error;
    if (name === "RangeError") throw refused("is nested too deeply; write it flatter");
    if (name === "ReferenceError")
      throw refused("has an alias of no anchor, or aliases that stand for too much in all; write out what they stand for");
    throw refused(`is not YAML that can be read (${name}); write it as plain maps and lists`);
  }
}

/** Where the value at a path begins, or its key. What an alias stands for is where its anchor is. */
function offsetOf(yaml: YamlLibrary, document: Document, path: YamlPath, of: "key" | "value"): number {
  const { isAlias, isMap, isScalar, isSeq } = yaml;
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [i, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
      if (!pair) break;
      const key = startOf(pair.key) ?? offset;
      node = pair.value;
      offset = of === "key" && i === path.length - 1 ? key : (startOf(node) ?? key);
    } else if (isSeq(node) && typeof step === "number" && step < node.items.length) {
      node = node.items[step];
      offset = startOf(node) ?? offset;
    } else break;
  }
  return offset;
}

const startOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0];

const kindOf = ({ code }: YAMLError): string => code.toLowerCase().replaceAll("_", " ");

const indicators = ["explicit-key-ind", "map-value-ind", "seq-item-ind"];

/**
 * What is too much about a document, seen from its pieces alone: how many there are, how many aliases, and how many lists and
 * maps may be within each other, by what opens them and by how far lines are indented. The library itself would take minutes,
 * or all of the stack, before it could be asked.
 */
function outlineOf(yaml: YamlLibrary, text: string): string | undefined {
  const { CST, Lexer } = yaml;
  const columns: number[] = [];
  let [flow, offset, lineStart, opens, pieces, aliases] = [0, 0, 0, true, 0, 0];
  for (const source of new Lexer().lex(text)) {
    const type = CST.tokenType(source);
    // Marks of the lexer stand for nothing in the text.
    if (type === "doc-mode" || type === "flow-error-end" || type === "scalar") continue;
    if (++pieces > mostPieces) return `has more than ${mostPieces} values and marks; put data into a file of its own`;
    if (type === "alias" && ++aliases > mostAliases) return `has more than ${mostAliases} aliases; write out what they stand for`;
    if (type === "flow-map-start" || type === "flow-seq-start") flow++;
    else if (type === "flow-map-end" || type === "flow-seq-end") flow = Math.max(0, flow - 1);
    if (type === "newline") [lineStart, opens] = [offset + source.length, true];
    else if (opens && type !== "space") {
      while ((columns.at(-1) ?? -1) >= offset - lineStart) columns.pop();
      columns.push(offset - lineStart);
      opens = type !== null && indicators.includes(type);
    }
    if (flow + columns.length > deepest) return `has more than ${deepest} lists and maps within each other; write it flatter`;
    offset += source.length;
  }
  return undefined;
}

/** Characters and values of a value, each counted as often as something refers to it; infinite for one that holds itself. */
function weightOf(value: unknown, known: Map<object, number>): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 1;
  const before = known.get(value);
  if (before !== undefined) return before;
  known.set(value, Number.POSITIVE_INFINITY);
  const parts: unknown[] = Array.isArray(value) ? value : Object.entries(value).flat();
  const weight = parts.reduce((sum: number, part) => sum + weightOf(part, known), 1);
  known.set(value, weight);
  return weight;
}

/** Where keys stand that their maps have already. */
function keysTwice(yaml: YamlLibrary, document: Document): number[] {
  const { isScalar, visit } = yaml;
  const found: number[] = [];
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        const value = isScalar(key) ? key.value : key;
        // A merge key may be there several times.
        if (seen.has(value) && value !== "<<") found.push((isScalar(key) && key.range?.[0]) || 0);
        seen.add(value);
      }
    },
  });
  return found;
}
