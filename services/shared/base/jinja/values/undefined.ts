import { raise } from "../fault.js";
import { PyObject, type Value } from "./value.js";

/** What a missing name or attribute is: empty text, false, without items; any other use of it raises. */
export class Undefined extends PyObject {
  readonly type = "Undefined";
  readonly #message: string;
  readonly #kind: string;

  constructor(message: string, kind = "UndefinedError") {
    super();
    this.#message = message;
    this.#kind = kind;
  }

  /** The exception of every use that Undefined does not allow. */
  fail(): never {
    return raise(this.#kind, this.#message);
  }

  override attribute(): never {
    return this.fail();
  }

  override item(): never {
    return this.fail();
  }

  override readonly call = (): never => this.fail();

  override get length(): number {
    return 0;
  }

  override iterate(): Iterator<never> {
    return [][Symbol.iterator]();
  }

  override get hash(): unknown {
    return Undefined;
  }

  override repr(): string {
    return "Undefined";
  }

  override str(): string {
    return "";
  }
}

/** Whether a value is one of those. */
export function isUndefined(value: Value): value is Undefined {
  return value instanceof Undefined;
}
