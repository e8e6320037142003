/**
 * Time of a worker with several tasks in hand. Each second is counted once: tasks that are in progress together share it
 * equally, so that the times of all tasks add up to the time in which the worker had any.
 */
export class SharedTime {
  readonly #now: () => number;
  readonly #tasks = new Set<{ ms: number }>();
  #lastMs = 0;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Does a task; returns its result and its share of the time, in seconds. */
  async of<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly seconds: number }> {
    const task = { ms: 0 };
    this.#share();
    this.#tasks.add(task);
    const result = await work().finally(() => {
      this.#share();
      this.#tasks.delete(task);
    });
    return { result, seconds: task.ms / 1000 };
  }

  /** Shares out what has passed since it was last shared out. */
  #share(): void {
    const now = this.#now();
    for (const task of this.#tasks) task.ms += (now - this.#lastMs) / this.#tasks.size;
    this.#lastMs = now;
  }
}
