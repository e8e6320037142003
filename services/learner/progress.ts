import type { Metrics } from "../shared/base/metrics.js";
import type { LearnerStatus, Progress, StepReport } from "./context/run-context.js";
import { Waits } from "./waits.js";

/** The run, as far as it is told before its first step. */
export interface Expected {
  readonly totalSteps: number;
  readonly maxStaleness: number;
}

/** What the learner of a run is doing: its status and its metrics. */
export class LearnerProgress implements Progress {
  readonly #gauges;
  readonly #counters;
  readonly #parts;
  readonly #reward;
  readonly #duration;
  readonly #waits = new Waits();
  #step = 0;
  #totalSteps = 0;
  #activity = "starting";

  constructor(metrics: Metrics) {
    this.#gauges = {
      step: metrics.gauge("step", "last finished optimiser step"),
      totalSteps: metrics.gauge("total_steps", "optimiser steps of the run"),
      loss: metrics.gauge("loss", "loss of the last step"),
      divergence: metrics.gauge("divergence_nats", "divergence of the last step"),
      entropy: metrics.gauge("entropy_nats", "mean entropy of the student per completion token, of the last step"),
      gradientNorm: metrics.gauge("gradient_norm", "norm of the last step's gradient, before it was clipped"),
      mismatchKl: metrics.gauge("mismatch_kl_nats", "KL between the sampler's and the learner's distribution, of the last step"),
      meanLength: metrics.gauge("completion_length_tokens", "mean length of the last step's completions"),
      staleness: metrics.gauge("staleness_versions", "mean age of the policy that sampled the last step's tokens"),
      stalenessBound: metrics.gauge("staleness_bound_versions", "the most that it may be (rollouts.maxStaleness)"),
      tasksInFlight: metrics.gauge("tasks_in_flight", "tasks of later steps that have been handed out"),
      checkpoint: metrics.gauge("checkpoint_timestamp_seconds", "when the newest checkpoint was saved; before, when the learner took over"),
    };
    this.#counters = {
      tokens: metrics.counter("trained_tokens_total", "completion tokens trained on"),
      trained: metrics.counter("trained_samples_total", "samples trained on"),
      failed: metrics.counter("failed_samples_total", "samples that failed and were left out of their step"),
    };
    this.#parts = metrics.counter("step_part_seconds_total", "time of the parts of steps: wait, train, publish", ["part"]);
    this.#duration = metrics.seconds("step_duration", "time of an optimiser step, waiting included");
    let reward: number | undefined;
    metrics.observed("reward", "mean reward of the last step's samples, where there are rewards", [], (set) => {
      if (reward !== undefined) set({}, reward);
    });
    this.#reward = (value: number | undefined) => {
      reward = value;
    };
    metrics.observed("wait_seconds", "how long it has waited for a role, or for room on a disk", ["waits_for"], (set) => {
      for (const { on, seconds } of this.#waits.now()) set({ waits_for: on }, seconds);
    });
    metrics.observed("missing_results", "results that it waits for, by the role that owes them", ["waits_for"], (set) => {
      for (const { on, missing } of this.#waits.now()) set({ waits_for: on }, missing);
    });
  }

  /** What the run is to be, before its first step. */
  expect({ totalSteps, maxStaleness }: Expected): void {
    this.#totalSteps = totalSteps;
    this.#gauges.totalSteps.set(totalSteps);
    this.#gauges.stalenessBound.set(maxStaleness);
  }

  doing(step: number, activity: string): void {
    this.#step = step;
    this.#activity = activity;
  }

  stepFinished(step: number, report: StepReport): void {
    const { loss, divergence, entropy, gradientNorm, mismatchKl, meanLength, stalenessMean, tasksInFlight } = report;
    this.doing(step, "");
    const figures = { step, loss, divergence, entropy, gradientNorm, mismatchKl, meanLength, staleness: stalenessMean, tasksInFlight };
    for (const [name, value] of Object.entries(figures)) this.#gauges[name as keyof typeof figures].set(value);
    this.#reward(report.reward);
    this.#counters.tokens.inc(report.completionTokens);
    this.#counters.trained.inc(report.sequences);
    this.#counters.failed.inc(report.failedPrompts);
    this.#parts.inc({ part: "wait" }, report.waitSeconds);
    this.#parts.inc({ part: "train" }, report.trainSeconds);
    this.#parts.inc({ part: "publish" }, report.publishSeconds);
    this.#duration.observe(report.seconds);
  }

  tookOver(step: number): void {
    this.#gauges.step.set(step);
    this.checkpointed();
  }

  checkpointed(): void {
    this.#gauges.checkpoint.setToCurrentTime();
  }

  waitsFor(kind: string, missing: ReadonlyMap<string, number>): void {
    this.#waits.set(kind, missing);
  }

  /** Where it is. */
  status(): LearnerStatus {
    return { step: this.#step, totalSteps: this.#totalSteps, activity: this.#activity };
  }
}
