import { create } from "@bufbuild/protobuf";
import { RetortError } from "../../shared/base/errors.js";
import { resolveCheckpoints } from "../../shared/flow/runs/checkpoints.js";
import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import { CheckpointSavedSchema } from "../../shared/gen/retort/v1/run_pb.js";
import { bringFollowed } from "../context/followed-versions.js";
import { guard } from "../context/guard.js";
import type { RunContext } from "../context/run-context.js";
import { withRoom } from "../context/with-room.js";
import type { Checkpoints } from "../model/checkpoints.js";

/** When a run saves a checkpoint, and what it says of it. */
export class RunCheckpoints {
  readonly #context: RunContext;
  readonly #checkpoints: Checkpoints;
  readonly #directory: string;
  /** The step of the newest one, and when it was saved. */
  #savedStep: number;
  #savedMs = Date.now();

  /**
   * @param directory the run's own
   * @param step that the run goes on from: its checkpoint is there, or nothing is trained yet
   */
  constructor(context: RunContext, checkpoints: Checkpoints, directory: string, step: number) {
    this.#context = context;
    this.#checkpoints = checkpoints;
    this.#directory = directory;
    this.#savedStep = step;
  }

  /** True if the spec wants one after this step, or so much time after the one before. */
  isDue(step: number): boolean {
    const { everySteps, everySeconds } = resolveCheckpoints(this.#context.membership.spec.checkpoints);
    if (everySteps > 0 && step % everySteps === 0) return true;
    return everySeconds > 0 && Date.now() - this.#savedMs >= 1000 * everySeconds;
  }

  /** Saves the current version, unless it is saved. @throws Aborted if another learner has the run */
  async save(step: number): Promise<void> {
    if (this.#savedStep === step) return;
    const { host, report, membership, progress } = this.#context;
    await guard(this.#context);
    await report.sync();
    const what = `the checkpoint of step ${step}`;
    const bring = (directory: string) => bringFollowed(this.#context, step, directory);
    const { path, digest } = await membership.process.during(Work.CHECKPOINTING, `step ${step}`, step, () =>
      withRoom(this.#context, what, this.#directory, () => this.#checkpoints.save(host, step, bring)),
    );
    this.#savedStep = step;
    this.#savedMs = Date.now();
    progress.checkpointed();
    await membership.runs.update(membership.runId, (next) => {
      next.checkpoint = create(CheckpointSavedSchema, { step, path, digest });
      return true;
    });
    await report.event({ case: "checkpointSaved", value: { step, path, digest } }, String(step));
  }

  /** Before a failure ends the run: what has been trained can be exported, and resumed from. */
  async saveAfter(error: unknown, step: number): Promise<void> {
    const { code } = RetortError.from(error);
    // Another learner has the run, or there is no room, which was waited for.
    if (code === "Aborted" || code === "ResourceExhausted") return;
    await this.save(step).catch((failure: unknown) => this.#context.log.error({ err: failure }, "the last checkpoint could not be saved"));
  }
}
