import { raise, refuse } from "../fault.js";
import { Callable } from "../values/containers.js";
import type { Value } from "../values/value.js";

type Attributes = Readonly<Record<string, (value: Value) => Value>>;

function method(name: string, run: (value: Value) => Value): (value: Value) => Value {
  return (value) =>
    new Callable(name, (args, keywords) =>
      args.length + keywords.size > 0 ? raise("TypeError", `${name}() takes no arguments`) : run(value),
    );
}

const lacks = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, () => refuse(`a number's ${name}`)]));

const int = (value: Value) => BigInt(value as bigint | boolean);

/** Attributes of ints and booleans. */
export const intAttributes: Attributes = {
  ...lacks(["as_integer_ratio", "from_bytes", "to_bytes"]),
  bit_count: method("bit_count", (value) => BigInt(int(value).toString(2).replace(/[-0]/g, "").length)),
  bit_length: method("bit_length", (value) => (int(value) === 0n ? 0n : BigInt(int(value).toString(2).replace("-", "").length))),
  conjugate: method("conjugate", int),
  denominator: () => 1n,
  imag: () => 0n,
  numerator: int,
  real: int,
};

/** Attributes of floats. */
export const floatAttributes: Attributes = {
  ...lacks(["as_integer_ratio", "fromhex", "hex"]),
  conjugate: method("conjugate", (value) => value),
  imag: () => 0,
  is_integer: method("is_integer", (value) => Number.isInteger(value)),
  real: (value) => value,
};
