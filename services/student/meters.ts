import type { Metrics } from "../shared/base/metrics.js";
import type { Sequence } from "../shared/gen/retort/v1/flow_pb.js";

/** What a student counts: for its metrics, and for its status. */
export class StudentMeters {
  readonly #tokens;
  readonly #tasks;
  readonly #duration;
  readonly #version;
  tasksDone = 0n;
  tokensSampled = 0n;

  constructor(metrics: Metrics) {
    this.#tokens = metrics.counter("sampled_tokens_total", "tokens sampled");
    this.#tasks = metrics.counter("tasks_total", "tasks finished");
    this.#duration = metrics.seconds("task", "time to sample a task");
    this.#version = metrics.gauge("policy_version", "policy version in use");
  }

  /** A task has been sampled. Returns its tokens. */
  taskDone(sequences: readonly Pick<Sequence, "completionIds">[], seconds: number): number {
    const tokens = sequences.reduce((sum, { completionIds }) => sum + (completionIds?.shape[0] ?? 0), 0);
    this.tasksDone++;
    this.tokensSampled += BigInt(tokens);
    this.#tasks.inc();
    this.#tokens.inc(tokens);
    this.#duration.observe(seconds);
    return tokens;
  }

  /** A policy version is in use from now on. */
  using(version: number): void {
    this.#version.set(version);
  }
}
