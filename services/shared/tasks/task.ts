import type { Tokenizer } from "../ml/text/tokenizer.js";

/** One example of a generated task. */
export interface Example {
  readonly prompt: string;
  readonly completion: string;
  /** Which of a mixture's tasks it belongs to. */
  readonly kind?: string;
  /** What a teacher may be told of the answer. */
  readonly hint?: string;
}

/** One turn of a conversation: what comes before it, and what the assistant says. */
export interface TurnRow {
  readonly prompt: readonly { readonly role: string; readonly content: string }[];
  readonly completion: string;
}

/** A task that Retort makes itself. Everything about it is a pure function of its own fixed seed. */
export interface GeneratedTask {
  readonly name: string;
  /** What models of this task start with. */
  readonly tokenizer: () => Tokenizer;
  /** Its examples in a fixed order. */
  readonly examples: () => readonly Example[];
  /**
   * Valid completion number `variant` of an example, for tasks with many valid outputs; 0 is the example's own.
   * Absent where there is one answer.
   */
  readonly vary?: (example: Example, variant: number) => string;
  /** Wrong completion number `variant` of an example, of the kind that a model may write. Absent where nothing asks for it. */
  readonly corrupt?: (example: Example, variant: number) => string;
  /**
   * The turns in which an example is solved, for tasks whose answer takes several: each is a row. Absent where it takes one.
   *
   * @param slips share of the turns before which a wrong one stands that is nobody's completion: what is learnt is to go on from there
   */
  readonly turns?: (example: Example, slips: number, variant: number) => readonly TurnRow[];
  /** How right a completion is, in [0, 1], whatever the reference says: what reward `task` pays. */
  readonly check: (prompt: string, completion: string) => number;
}
