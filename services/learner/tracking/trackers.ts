import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Log } from "../../shared/base/log.js";
import { makeDirectory } from "../../shared/base/make-directory.js";
import { evaluationValues, stepValues } from "../../shared/flow/history/figures.js";
import type { EventBody } from "../../shared/flow/runs/events.js";
import type { TrackingSettings } from "../../shared/flow/runs/resolve.js";
import { EvaluationFinishedSchema, SamplesRecordedSchema, StepFinishedSchema } from "../../shared/gen/retort/v1/events_pb.js";
import { Source } from "../../shared/gen/retort/v1/flow_pb.js";
import { JsonlTracker } from "./jsonl-tracker.js";
import { TensorboardTracker } from "./tensorboard-tracker.js";
import type { TrackedPoint, Tracker } from "./tracker.js";

/** Which learner of which run writes, and where. */
export interface TrackersOptions {
  /** The run's own directory. */
  readonly directory: string;
  readonly settings: Pick<TrackingSettings, "jsonl" | "tensorboard">;
  readonly fence: bigint;
  /** The step that the learner goes on behind. */
  readonly fromStep: number;
  /** When the run was made. */
  readonly createdMs: number;
  readonly log: Log;
}

/**
 * Writes a run's figures into its directory as they are told: `metrics.jsonl` and `tensorboard/`. They are written before the event
 * is published. A step is in them once, whichever learner trained it last; none is lost with a process. What can't be written is
 * logged, and written with the next: training goes on.
 */
export class Trackers {
  readonly #trackers: readonly Tracker[];
  readonly #createdMs: number;
  readonly #log: Log;

  private constructor(trackers: readonly Tracker[], { createdMs, log }: TrackersOptions) {
    this.#trackers = trackers;
    this.#createdMs = createdMs;
    this.#log = log;
  }

  /** Opens what the spec asks for, to go on behind a step. One that can't be opened is logged and left out. */
  static async open(options: TrackersOptions): Promise<Trackers> {
    const { directory, settings, fence, fromStep, log } = options;
    const opened: Tracker[] = [];
    const openers = [
      settings.jsonl && (() => JsonlTracker.open(join(directory, "metrics.jsonl"), fromStep)),
      settings.tensorboard && (() => TensorboardTracker.open(join(directory, "tensorboard"), fence, fromStep)),
    ];
    for (const open of openers) {
      if (!open) continue;
      try {
        await makeDirectory(directory);
        opened.push(await open());
      } catch (error) {
        log.warn({ err: error }, `figures are not written into ${directory}`);
      }
    }
    return new Trackers(opened, options);
  }

  /** Takes an event that is about to be published. */
  async take(event: EventBody): Promise<void> {
    const timeMs = Date.now();
    const point = (step: number): TrackedPoint => ({ step, timeMs, elapsedSeconds: (timeMs - this.#createdMs) / 1000 });
    if (event.case === "stepFinished") {
      const step = create(StepFinishedSchema, event.value);
      const { phase, source, completionTokens } = step;
      const tracked = { ...point(step.step), phase, completionTokens, values: [...stepValues(step)], source: Source[source].toLowerCase() };
      await this.#all((tracker) => tracker.step(tracked));
    } else if (event.case === "evaluationFinished") {
      const evaluation = create(EvaluationFinishedSchema, event.value);
      const values = [...evaluationValues(evaluation)];
      await this.#all((tracker) => tracker.evaluation({ ...point(evaluation.version), values }));
    } else if (event.case === "samplesRecorded") {
      const { step, samples } = create(SamplesRecordedSchema, event.value);
      await this.#all((tracker) => tracker.samples(point(step), samples));
    }
  }

  /** All that was written is on the disk: before a checkpoint, which steps up to it are not trained again after. */
  sync(): Promise<void> {
    return this.#all((tracker) => tracker.sync());
  }

  /** Closes the files. */
  close(): Promise<void> {
    return this.#all((tracker) => tracker.close());
  }

  async #all(act: (tracker: Tracker) => Promise<void>): Promise<void> {
    for (const tracker of this.#trackers)
      await act(tracker).catch((error: unknown) => this.#log.warn({ err: error }, `${tracker.name} cannot be written; it is tried again`));
  }
}
