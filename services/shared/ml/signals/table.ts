import { RetortError } from "../../base/errors.js";
import { full } from "./full.js";
import { hidden } from "./hidden.js";
import { randomK } from "./random-k.js";
import { sampled } from "./sampled.js";
import type { SignalDefinition } from "./signal.js";
import { studentTopK } from "./student-top-k.js";
import { topK } from "./top-k.js";

/** What a teacher can say about each token of a completion: every kind of signal, by its name in a run's spec. */
export const signals = {
  full,
  hidden,
  random_k: randomK,
  sampled,
  student_top_k: studentTopK,
  top_k: topK,
} as const satisfies Readonly<Record<string, SignalDefinition>>;

/** The kinds of signal there are. */
export type SignalKind = keyof typeof signals;

/** True for the name of a kind of signal. */
export const isSignalKind = (kind: string): kind is SignalKind => Object.hasOwn(signals, kind);

/** Every kind of signal, sorted by name. */
export const signalKinds: readonly SignalKind[] = Object.keys(signals).filter(isSignalKind);

/** The names of the kinds that have some property, for messages. */
export const kindsThat = (has: (signal: SignalDefinition) => unknown): string =>
  signalKinds.filter((kind) => has(signals[kind])).join(", ");

/** The kind of signal of that name. @throws Unimplemented naming it, and those there are */
export function signalKindOf(kind: string): SignalKind {
  if (isSignalKind(kind)) return kind;
  throw new RetortError("Unimplemented", `signal.kind is "${kind}"; this version knows ${signalKinds.join(", ")}`);
}
