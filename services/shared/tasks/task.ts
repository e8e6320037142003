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
  /** How right a completion is, in [0, 1], whatever the reference says: what reward `task` pays. */
  readonly check: (prompt: string, completion: string) => number;
}
