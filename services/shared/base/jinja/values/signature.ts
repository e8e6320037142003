import { raise } from "../fault.js";
import { given, type Keywords, type Value } from "./value.js";

/** What a function takes: names in order (for errors where it takes none by name). */
export interface Signature {
  readonly name: string;
  readonly parameters: readonly string[];
  /** How many must be given. */
  readonly required: number;
  /** Whether arguments may be given by name. */
  readonly byName: boolean;
}

/** Arguments in the order of the parameters, undefined for what is not given; raises Python's TypeError for too few, too many or unknown ones. */
export function bind(signature: Signature, args: readonly Value[], keywords: Keywords): readonly (Value | undefined)[] {
  const { name, parameters, required } = signature;
  if (args.length > parameters.length) raise("TypeError", `${name}() takes at most ${parameters.length} arguments (${args.length} given)`);
  const bound: (Value | undefined)[] = parameters.map((_, index) => args[index]);
  for (const [key, value] of keywords) {
    const at = signature.byName ? parameters.indexOf(key) : -1;
    if (at === -1) raise("TypeError", `${name}() got an unexpected keyword argument '${key}'`);
    if (bound[at] !== undefined) raise("TypeError", `${name}() got multiple values for argument '${key}'`);
    bound[at] = value;
  }
  for (let at = 0; at < required; at++)
    if (bound[at] === undefined) raise("TypeError", `${name}() missing required argument: '${parameters[at]}'`);
  return bound;
}

/** An argument that {@link bind} has seen to, since it must be given. */
export const required = (value: Value | undefined): Value => given(value, () => raise("TypeError", "a required argument is missing"));
