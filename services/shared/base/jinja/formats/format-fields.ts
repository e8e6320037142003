import { raise, refuse } from "../fault.js";
import { repr, str } from "../values/repr.js";
import type { Value } from "../values/value.js";
import { ascii } from "./format-percent.js";
import { format } from "./format-spec.js";

/** Where the fields of a format come from. */
export interface Fields {
  /** A field by its place or name; raises IndexError or KeyError for one that is not there. */
  readonly get: (name: bigint | string) => Value;
  readonly attribute: (value: Value, name: string) => Value;
  readonly item: (value: Value, key: Value) => Value;
}

/** Python's str.format: `{}`, `{0}`, `{name.attribute[key]!r:spec}`. */
export function formatFields(text: string, fields: Fields): string {
  return new Formatter(fields).run(text, 2);
}

class Formatter {
  readonly #fields: Fields;
  #next = 0;
  #numbered: boolean | undefined;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  run(text: string, depth: number): string {
    if (depth < 0) raise("ValueError", "Max string recursion exceeded");
    let result = "";
    for (let at = 0; at < text.length; ) {
      const character = text[at]!;
      if ((character === "{" || character === "}") && text[at + 1] === character) {
        result += character;
        at += 2;
      } else if (character === "}") raise("ValueError", "Single '}' encountered in format string");
      else if (character === "{") {
        const end = closing(text, at);
        result += this.#field(text.slice(at + 1, end), depth);
        at = end + 1;
      } else {
        result += character;
        at++;
      }
    }
    return result;
  }

  #field(field: string, depth: number): string {
    const match = /^((?:\[[^\]]*\]|[^[!:])*)(?:!([^:]*))?(?::(.*))?$/s.exec(field);
    if (match === null) return raise("ValueError", `expected '}' before end of string: {${field}}`);
    const [, name = "", conversion, spec] = match;
    const value = this.#converted(this.#value(name), conversion);
    return format(value, spec === undefined ? "" : this.run(spec, depth - 1));
  }

  #converted(value: Value, conversion: string | undefined): Value {
    if (conversion === undefined) return value;
    if (conversion === "r") return repr(value);
    if (conversion === "s") return str(value);
    return conversion === "a" ? ascii(value) : raise("ValueError", `Unknown conversion specifier '${conversion}'`);
  }

  #value(path: string): Value {
    const [first = ""] = /^[^.[]*/.exec(path) ?? [];
    let value = this.#fields.get(this.#place(first));
    for (const [, name, key = ""] of path.slice(first.length).matchAll(/\.([^.[]+)|\[([^\]]+)\]/g)) {
      if (name !== undefined) value = this.#fields.attribute(value, name);
      else value = this.#fields.item(value, /^\d+$/.test(key) ? BigInt(key) : key);
    }
    return value;
  }

  /** The place or name of a field; one without has the next place. */
  #place(name: string): bigint | string {
    if (name !== "" && !/^\d+$/.test(name)) return name;
    const numbered = name !== "";
    if (this.#numbered !== undefined && this.#numbered !== numbered)
      raise("ValueError", "cannot switch between manual field specification and automatic field numbering");
    this.#numbered = numbered;
    return numbered ? BigInt(name) : BigInt(this.#next++);
  }
}

/** Where the field that begins here ends. */
function closing(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === "[" && depth === 1) {
      const end = text.indexOf("]", at);
      if (end === -1) refuse("a format's field without its closing bracket");
      at = end;
    } else if (text[at] === "{") depth++;
    else if (text[at] === "}" && --depth === 0) return at;
  }
  return raise("ValueError", "expected '}' before end of string");
}
