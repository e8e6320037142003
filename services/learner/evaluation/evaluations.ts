import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Item } from "../../shared/codec/examples.js";
import type { RecordSize } from "../../shared/codec/task-capacity.js";
import { lastOf } from "../../shared/flow/runs/events.js";
import { BestCheckpointSchema } from "../../shared/gen/retort/v1/run_pb.js";
import type { RunContext } from "../context/run-context.js";
import { withRoom } from "../context/with-room.js";
import { BestKeeper } from "../model/best-keeper.js";
import { evaluateVersion } from "./evaluate-version.js";
import { bestValue, type EvaluationFigures } from "./evaluation-figures.js";
import { ExampleBudget } from "./example-budget.js";

/** What a run is measured on, and where its best version is kept. */
export interface EvaluationPlace {
  readonly heldOut: readonly Item[];
  readonly recordSize: RecordSize;
  /** The step behind which the learner goes on. */
  readonly fromStep: number;
  /** The run's own directory. */
  readonly directory: string;
}

/** The evaluations of a run: each version once, and the best one kept. */
export class Evaluations {
  readonly #context: RunContext;
  readonly #place: EvaluationPlace;
  readonly #best: BestKeeper | undefined;
  readonly #examples: ExampleBudget;

  constructor(context: RunContext, place: EvaluationPlace) {
    this.#context = context;
    this.#place = place;
    this.#examples = new ExampleBudget(context.report);
    const metric = context.membership.run.evaluation?.keepBest;
    this.#best = metric && new BestKeeper(join(place.directory, "best"), metric);
  }

  /** True if a version is measured on the way: before the first step, and each time the settings' steps have passed. */
  isDue(version: number): boolean {
    const { evaluation, totalSteps } = this.#context.membership.run;
    const everySteps = evaluation?.everySteps ?? 0;
    return version === 0 || (everySteps > 0 && version % everySteps === 0 && version < totalSteps);
  }

  /** Measures the current version, unless it has been measured or there is nothing to measure it on. False if the run is to stop meanwhile. */
  async measure(version: number): Promise<boolean> {
    const { membership, progress, report, fence } = this.#context;
    const settings = membership.run.evaluation;
    const { heldOut, recordSize, fromStep } = this.#place;
    if (!settings || heldOut.length === 0 || (await this.#isMeasured(version))) return true;
    progress.doing(version, `evaluating version ${version}`);
    const request = { version, attempt: Number(fence), items: heldOut, settings, recordSize, fromStep };
    const figures = await evaluateVersion(this.#context, request);
    if (!figures) return false;
    figures.examples = await this.#examples.admit(version, figures);
    // Kept before it is reported: a learner that takes over measures again what no event tells of.
    const best = await this.#considerBest(version, figures);
    await report.event({ case: "evaluationFinished", value: figures }, String(version));
    if (!best) return true;
    await membership.runs.update(membership.runId, (next) => {
      next.best = create(BestCheckpointSchema, best);
      return true;
    });
    await report.event({ case: "bestCheckpoint", value: best }, String(version));
    return true;
  }

  #considerBest(version: number, figures: EvaluationFigures) {
    const best = this.#best;
    if (!best) return undefined;
    const what = `the best checkpoint, of step ${version}`;
    return withRoom(this.#context, what, this.#place.directory, () =>
      best.consider(this.#context.host, version, bestValue(figures, best.metric)),
    );
  }

  /** True if this version's figures have been told, by this learner or by the one whose checkpoint it goes on from. */
  async #isMeasured(version: number): Promise<boolean> {
    const { streams, runId } = this.#context.membership;
    return (await lastOf(streams, runId, "evaluationFinished"))?.value.version === version;
  }
}
