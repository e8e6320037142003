// Dimensions: R rows (completion tokens), V vocabulary, K top classes, C classes (V, or K + 1 with the tail last).
import { RetortError } from "../../base/errors.js";
import type { Dim, Graph, Value } from "../graph/graph.js";
import type { HiddenDtype } from "./hidden-dtype.js";

/** What a loss's graph is fed of one teacher signal. */
export interface SignalInputs {
  /** By name; the first axis is the rows'. */
  readonly perRow: Readonly<Record<string, Value>>;
  /** What all rows share, by name. */
  readonly shared: Readonly<Record<string, Value>>;
}

/** What decides the shapes of a signal's inputs. */
export interface SignalShape {
  readonly vocab: number;
  /** Classes of `top_k` and `student_top_k`, draws of `random_k`. */
  readonly k: number;
  readonly hiddenDtype: HiddenDtype;
  /** Divides the teacher's logits where the learner makes them from hidden states. */
  readonly teacherTemperature: number;
  /** The heads that make logits of a teacher's hidden states in the learner; by default one, as it is. */
  readonly heads?: readonly HeadShape[] | undefined;
  /** `top_k`: some classes fill a row up, with a log-probability of −∞, and nothing is said of them: they are part of the rest. */
  readonly padded?: boolean | undefined;
}

/** How one head makes a distribution of its part of the hidden states. */
export interface HeadShape {
  /** Of its states, where those of several models stand side by side; undefined: all of them. */
  readonly width?: number | undefined;
  /** c · tanh(logit / c) for every logit; undefined: as it is. */
  readonly softCap?: number | undefined;
  /** Of the mixture of all heads' distributions. */
  readonly share: number;
}

/** Log-probabilities of teacher and student over the same classes, [R, C]. */
export interface Classes {
  readonly logp_RC: Value;
  readonly logq_RC: Value;
}

interface Form {
  /** Declares the graph inputs that carry the signal, each named `signal.<name>`. */
  declare(graph: Graph, rows: Dim, shape: SignalShape): SignalInputs;
}

/** A signal that becomes two distributions over the same classes: every divergence can be had from it. */
export interface DistributionForm extends Form {
  readonly gives: "distribution";
  /**
   * The inputs with what is a product of rows and of what all share already made, by the rows, for a loss that looks at few rows at a
   * time: {@link classes} takes either. Absent where there is none.
   */
  multiplied?(signal: SignalInputs, shape: SignalShape): SignalInputs;
  /** From the student's logits [R, V], divided by its temperature. */
  classes(signal: SignalInputs, logits_RV: Value, shape: SignalShape): Classes;
  /**
   * The teacher's k most probable classes as ids of the vocabulary, int64 [R, k]; where the student chose the classes, of those.
   *
   * @param logp_RC the teacher's side of {@link classes}
   */
  topIds(signal: SignalInputs, logp_RC: Value, k: number): Value;
  /**
   * Both distributions by rank: of each its own k most probable classes in falling order, and the rest. Absent where the classes aren't the
   * teacher's most probable, or are all there are.
   */
  ranks?(signal: SignalInputs, logits_RV: Value, shape: SignalShape): Classes;
}

/** A signal that gives an estimate of the forward KL, and nothing else. */
export interface EstimateForm extends Form {
  readonly gives: "forwardKl";
  /** [R] in nats, from the student's logits [R, V], divided by its temperature. */
  forwardKl(signal: SignalInputs, logits_RV: Value, shape: SignalShape): Value;
}

/** A signal that says nothing but the given token's log-probability, which every row has an input for. */
export interface TokenForm extends Form {
  readonly gives: "token";
}

/** How a kind of teacher signal enters a loss. */
export type SignalForm = DistributionForm | EstimateForm | TokenForm;

/** The inputs of a signal whose rows share nothing. */
export const perRow = (inputs: SignalInputs["perRow"]): SignalInputs => ({ perRow: inputs, shared: {} });

/** The input of that name. @throws Internal if the form has not declared it */
export function inputOf({ perRow, shared }: SignalInputs, name: string): Value {
  const value = perRow[name] ?? shared[name];
  if (!value)
    throw new RetortError("Internal", `the signal's form has declared no input ${name}, only ${Object.keys({ ...perRow, ...shared })}`);
  return value;
}
