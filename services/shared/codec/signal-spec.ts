// The codec of signals: what a record asks of a teacher (flow) meets the kinds that there are (ml).
import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../base/errors.js";
import type { ObjectiveSettings } from "../flow/runs/resolve.js";
import type { SignalSpec, SignalSpecSchema } from "../gen/retort/v1/flow_pb.js";
import { defaultHiddenDtype, type HiddenDtype } from "../ml/signals/hidden-dtype.js";
import type { Signal } from "../ml/signals/score.js";
import { kindsThat, type SignalKind, signalKindOf, signals } from "../ml/signals/table.js";

/** The whole distribution as the model has it: what is asked where no signal is named. */
export const wholeDistribution: Signal = { kind: "full", k: 0, temperature: 1 };

/** The signal that a record asks for. @throws Unimplemented naming a kind that there is not, InvalidArgument a type of hidden states */
export function signalOf({ kind, k, temperature, hiddenDtype }: SignalSpec): Signal {
  const signal = { kind: signalKindOf(kind), k, temperature };
  return signals[signal.kind].needsHead ? { ...signal, hiddenDtype: hiddenDtypeOf(hiddenDtype) } : signal;
}

function hiddenDtypeOf(name: string): HiddenDtype {
  if (name === "") return defaultHiddenDtype;
  if (name === "float16" || name === "float32") return name;
  throw new RetortError("InvalidArgument", `signal.hiddenDtype is "${name}"; use float16 or float32`, { fieldPath: "signal.hiddenDtype" });
}

/** The teacher's answer that an objective needs. */
export function signalFor({ signal, k, teacherTemperature, hiddenDtype }: ObjectiveSettings): MessageInitShape<typeof SignalSpecSchema> {
  const { largestK, needsHead } = signals[signal];
  return { kind: signal, k: largestK ? k : 0, temperature: teacherTemperature, hiddenDtype: needsHead ? hiddenDtype : "" };
}

/** What a teacher with its own tokenizer is asked where others are asked for `signal`, to tell how probable a text is to it. */
export const acrossTokenizers = ({
  temperature,
}: MessageInitShape<typeof SignalSpecSchema>): MessageInitShape<typeof SignalSpecSchema> => ({
  kind: "sampled",
  k: 0,
  temperature,
  tokenizer: "own",
});

/**
 * Refuses fields of a signal that its kind does not read.
 *
 * @throws InvalidArgument naming the field, its value and the way out
 */
export function checkSignalFields({ kind, k, hiddenDtype, temperature, tokenizer }: SignalSpec): void {
  const refuse = (field: string, value: unknown, why: string) => {
    throw new RetortError("InvalidArgument", `signal.${field} is ${value}; ${why}`, { fieldPath: `signal.${field}` });
  };
  const { largestK, needsHead } = signals[signalKindOf(kind)];
  if (k !== 0 && !largestK) refuse("k", k, `${kind} has none: leave it out, or ask for ${kindsThat(({ largestK }) => largestK)}`);
  if (hiddenDtype !== "" && !needsHead) refuse("hiddenDtype", hiddenDtype, `${kind} sends no hidden states: leave it out`);
  if (tokenizer !== "") refuse("tokenizer", tokenizer, "only the teachers of a run read it: leave it out, and give completions as text");
  if (!(temperature >= 1e-3 && temperature <= 1e3)) refuse("temperature", temperature, "it must lie in [0.001, 1000]");
}

/**
 * Refuses the student's classes beside a signal that does not ask about them.
 *
 * @param path of the field with the classes of sequence i
 * @throws InvalidArgument naming the first such field
 */
export function checkChosen(kind: SignalKind, sequences: readonly { studentTopIds?: unknown }[], path: (i: number) => string): void {
  if (signals[kind].studentChooses) return;
  const at = sequences.findIndex(({ studentTopIds }) => studentTopIds !== undefined);
  if (at < 0) return;
  const readers = kindsThat(({ studentChooses }) => studentChooses);
  throw new RetortError("InvalidArgument", `${path(at)} is given; only the signal ${readers} reads it, and signal.kind is ${kind}`, {
    fieldPath: path(at),
  });
}
