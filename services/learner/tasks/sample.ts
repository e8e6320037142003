/** Which sample of a step it is: its task, its prompt within the task, its number among the prompt's samples. */
export interface Sample {
  readonly task: number;
  readonly prompt: number;
  readonly sample: number;
}

/** A sample that failed: it is used up, reported and left out. */
export interface SampleFailure extends Sample {
  readonly reason: string;
}
