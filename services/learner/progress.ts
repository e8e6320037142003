import type { Metrics } from "../shared/base/metrics.js";
import type { StepStats } from "../shared/ml/training/stats.js";
import type { LearnerStatus, Progress } from "./context/run-context.js";

/** What the learner of a run is doing: its status and its metrics. */
export class LearnerProgress implements Progress {
  readonly #stepGauge;
  readonly #loss;
  readonly #divergence;
  readonly #tokens;
  readonly #duration;
  #step = 0;
  #totalSteps = 0;
  #activity = "starting";

  constructor(metrics: Metrics) {
    this.#stepGauge = metrics.gauge("step", "last finished optimiser step");
    this.#loss = metrics.gauge("loss", "loss of the last step");
    this.#divergence = metrics.gauge("divergence_nats", "divergence of the last step");
    this.#tokens = metrics.counter("trained_tokens_total", "completion tokens trained on");
    this.#duration = metrics.seconds("step_duration", "time of an optimiser step, waiting included");
  }

  /** How many steps the run has. */
  expect(totalSteps: number): void {
    this.#totalSteps = totalSteps;
  }

  doing(step: number, activity: string): void {
    this.#step = step;
    this.#activity = activity;
    this.#stepGauge.set(step);
  }

  stepFinished(step: number, { loss, divergence, completionTokens }: StepStats, seconds: number): void {
    this.doing(step, "");
    this.#loss.set(loss);
    this.#divergence.set(divergence);
    this.#tokens.inc(completionTokens);
    this.#duration.observe(seconds);
  }

  /** Where it is. */
  status(): LearnerStatus {
    return { step: this.#step, totalSteps: this.#totalSteps, activity: this.#activity };
  }
}
