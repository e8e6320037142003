import type { PromptTask } from "../shared/gen/retort/v1/flow_pb.js";

/** The tasks that a student has taken: another one is taken while they are no more sequences than are written together. */
export class TasksInHand {
  readonly #maxRows: number;
  #sequences = 0;
  #again = 0;

  /** @param maxRows most sequences that are written together */
  constructor(maxRows: number) {
    this.#maxRows = maxRows;
  }

  /**
   * How many may be in hand, where so many are. None joins a task that has been delivered before: it may have ended its process, and the others
   * would be lost with it each time, until the server gave them up too.
   */
  most(tasks: number): number {
    const hasRoom = this.#sequences <= this.#maxRows && this.#again === 0;
    return hasRoom ? tasks + 1 : tasks;
  }

  /** Counts a task for as long as it is worked on. */
  async holding<T>({ prompts, samplesPerPrompt }: PromptTask, attempt: number, work: () => Promise<T>): Promise<T> {
    const sequences = prompts.length * samplesPerPrompt;
    const again = attempt > 1 ? 1 : 0;
    this.#count(sequences, again);
    try {
      return await work();
    } finally {
      this.#count(-sequences, -again);
    }
  }

  #count(sequences: number, again: number): void {
    this.#sequences += sequences;
    this.#again += again;
  }
}
