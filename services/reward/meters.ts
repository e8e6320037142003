import type { Metrics } from "../shared/base/metrics.js";

/** What the reward role counts, for its metrics. */
export class RewardMeters {
  readonly #completions;
  readonly #duration;

  constructor(metrics: Metrics) {
    this.#completions = metrics.counter("completions_total", "completions evaluated");
    this.#duration = metrics.seconds("evaluate", "time to evaluate a rollout");
  }

  /** The completions of a rollout have been evaluated. */
  evaluated(completions: number, seconds: number): void {
    this.#completions.inc(completions);
    this.#duration.observe(seconds);
  }
}
