/** One example of a generated task. */
export interface Example {
  readonly prompt: string;
  readonly completion: string;
}

/** A task that Retort makes itself: examples in a fixed order, and every character that they use. */
export interface GeneratedTask {
  readonly name: string;
  readonly alphabet: string;
  readonly examples: readonly Example[];
}
