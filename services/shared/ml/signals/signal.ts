// Dimensions: N completion tokens of a sequence, R rows (completion tokens of a batch), V vocabulary, K classes or draws,
// U drawn classes, D width of hidden states.
import type { Graph, Value } from "../graph/graph.js";
import type { Tensor } from "../graph/tensor.js";
import type { SequenceText } from "../models/architectures/sequence-inputs.js";
import type { TeacherHead } from "../models/model.js";
import type { KeptFloats } from "../runtime/kept-floats.js";
import type { Outputs } from "../runtime/outputs.js";
import type { SignalForm } from "./form.js";
import type { HiddenDtype } from "./hidden-dtype.js";

/** What is asked of a teacher, besides the kind of signal. */
export interface SignalSettings {
  /** Classes of `top_k` and `student_top_k`, draws of `random_k`; ignored by the others. */
  readonly k: number;
  /** Divides the teacher's logits before the softmax; for `hidden` the learner does that. */
  readonly temperature: number;
  /** `hidden`: element type of the states. Default float16. */
  readonly hiddenDtype?: HiddenDtype;
}

/**
 * What a teacher says of one completion of N tokens, in log-probabilities (natural logarithm) at the signal's temperature.
 * Arrays are row-major; which of them there are follows from the kind.
 */
export interface Answer {
  /** [N]: the given token (all kinds but `hidden`). */
  readonly logprobs?: Float32Array;
  /** [N, V]: the whole distribution (`full`). */
  readonly full?: Float32Array;
  /**
   * [N, k]: the most probable classes, in falling order (`top_k`), or those that the student chose (`student_top_k`);
   * [N, U]: the classes that were drawn, filled up with class 0 (`random_k`).
   */
  readonly ids?: Int32Array;
  /** [N, k]: log-probabilities of `ids` (`top_k`, `student_top_k`). */
  readonly topLogprobs?: Float32Array;
  /** [N]: log of the mass outside `ids`; -Infinity if there is none (`top_k`, `student_top_k`). */
  readonly tail?: Float32Array;
  /** [N, U]: how often each of `ids` was drawn; they add up to k (`random_k`). */
  readonly counts?: Uint16Array;
  /** [N]: entropy of the teacher's distribution in nats (`random_k`). */
  readonly entropy?: Float32Array;
  /** [N, D]: last hidden state after the final norm, float32 or the bits of float16 (`hidden`). */
  readonly hidden?: Float32Array | Uint16Array;
}

/** A prompt and the completion to score; at least one token each. */
export interface ScoreInput extends SequenceText {
  /** [N, k]: the classes that `student_top_k` asks about, all different at each token. */
  readonly studentTopIds?: Int32Array;
}

/** What the teacher's forward offers to a signal; the logits are computed only if it asks for them. */
export interface ScoredRows {
  /** Where the answer is computed: the body of a loop over blocks of the rows, or the whole graph. */
  readonly graph: Graph;
  /** Declares an input of the whole graph, which all rows share. */
  readonly input: Graph["input"];
  /** Declares an input with an axis "R", and gives what it has for these rows. */
  readonly perRow: Graph["input"];
  readonly hidden_RD: Value;
  /** int32: the given token. */
  readonly labels_R: Value;
  /** Logits divided by the temperature, [R, V]. */
  readonly logits: () => Value;
}

/** The rows of one sequence in the outputs of a forward. */
export interface AnswerRows {
  readonly outputs: Outputs;
  /** The sequence's rows of the forward's: [from, to). */
  readonly from: number;
  readonly to: number;
  readonly k: number;
  readonly vocab: number;
  readonly studentTopIds: Int32Array | undefined;
}

/** One sequence's score and its place in a micro-batch. */
export interface ScorePart {
  readonly score: Answer & { readonly headDigest?: string };
  /** Position of the sequence in the step's batch, for messages. */
  readonly member: number;
  /** Its first row, and how many it has. */
  readonly row: number;
  readonly count: number;
}

/** Teachers' heads by digest. */
export type TeacherHeads = ReadonlyMap<string, TeacherHead>;

/** The scores of a micro-batch, to be laid out as the loss's inputs. */
export interface SignalLayout {
  readonly k: number;
  readonly hiddenDtype: HiddenDtype;
  readonly vocab: number;
  /** Rows of the micro-batch, those that fill up the last block included. */
  readonly rows: number;
  /** At least one, in the order of their rows, without gaps between them. */
  readonly parts: readonly ScorePart[];
  /** Memory for what is as large as the logits. */
  readonly room: KeptFloats;
  readonly heads: TeacherHeads;
  /** Members whose distributions are known to be such. */
  readonly sound: ReadonlySet<number>;
}

/**
 * All that one kind of signal is, from the teacher's graph to the student's loss: a file of this folder and a line of
 * {@link signals}. What has no teacher in it (how it is written to a record) is the codec's.
 */
export interface SignalDefinition {
  /** The largest k for a vocabulary of this size; undefined for a kind that has no k. */
  readonly largestK: ((vocab: number) => number) | undefined;
  /**
   * True if the student names the classes while it samples: they come with the sequence, as `studentTopIds`. That a student is
   * asked for them is flow's (rollouts/sample-task.ts).
   */
  readonly studentChooses: boolean;
  /**
   * True if the learner makes the distribution of what is sent, with the weights of the teacher's head. Such a score names
   * the head and has no log-probability of the given token; all others have.
   */
  readonly needsHead: boolean;
  /** What the losses see, and so which objectives it permits. */
  readonly form: SignalForm;
  /** Most bytes of an {@link Answer} per token, without what the student chose. */
  bytesPerToken(settings: Pick<SignalSettings, "k" | "hiddenDtype">, sizes: { readonly vocab: number; readonly hidden: number }): number;

  /** True if the answer is made of logits, and takes less than they do. */
  readonly isSmall: boolean;
  /** What leaves the teacher's graph, by name, each with the rows as its first axis; it may declare inputs of its own. */
  outputs(rows: ScoredRows, hiddenDtype: HiddenDtype): Readonly<Record<string, Value>>;
  /** Refuses a sequence that lacks what the kind reads besides the text. @throws InvalidArgument naming `sequence ${index}` */
  check?(input: ScoreInput, k: number, vocab: number, index: number): void;
  /** The inputs that {@link outputs} declared, for the sequences of a forward. */
  feeds?(inputs: readonly ScoreInput[], k: number): Record<string, Tensor>;
  /** One sequence's share of the outputs. */
  answer(rows: AnswerRows): Answer;

  /** The inputs that the form declared, checked. @throws InvalidArgument naming the sequence and the array that is at fault */
  layout(layout: SignalLayout): Record<string, Tensor>;
}
