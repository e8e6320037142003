import { timestampNow } from "@bufbuild/protobuf/wkt";
import pLimit, { type LimitFunction } from "p-limit";
import { RetortError } from "../shared/base/errors.js";
import type { Log } from "../shared/base/log.js";
import type { Streams } from "../shared/base/streams/connection.js";
import { publishEvent } from "../shared/flow/runs/events.js";
import { type ResolvedRun, resolveRun } from "../shared/flow/runs/resolve.js";
import { isOver, type RunStore } from "../shared/flow/runs/state.js";
import { ensureRun, removeRun } from "../shared/flow/streams.js";
import { type Run, RunState } from "../shared/gen/retort/v1/run_pb.js";
import type { Delay, Exit, Launcher, RoleSet } from "./launcher.js";

export interface SupervisorOptions {
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly launcher: Launcher;
  readonly log: Log;
}

/** How long a controller that is asked to stop waits for NATS if it is away. */
const patienceMs = 5000;

/** Keeps the roles of every run that is not over, and takes them away when it is. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  /** One thing at a time per run: what takes a run's consumers away must not meet what makes them. */
  readonly #turns = new Map<string, LimitFunction>();
  #closing = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Takes up every run that is not over, after a restart of the controller, and begins to hear of ends. */
  async adopt(): Promise<void> {
    const { runs, launcher, log } = this.#options;
    for (const run of await runs.list()) if (!isOver(run.state)) await this.#inTurn(run.runId, () => this.#adopt(run));
    const ended = (exit: Exit) =>
      this.#inTurn(exit.set.runId, () => this.#ended(exit)).catch((error: unknown) => {
        log.error({ err: error, ...exit.set }, "handling the end of a role failed");
        throw error;
      });
    await launcher.watch({ ended, delayed: (delay) => this.#delayed(delay) });
  }

  /** Makes a run's consumers and starts its roles; what is there already is left alone. A run that cannot be launched has failed. */
  launch(run: Run): Promise<void> {
    return this.#inTurn(run.runId, () => this.#launchOrFail(run));
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#options.streams.hurry(patienceMs);
    await this.#options.launcher.close();
  }

  /** A run that can never be launched again must not keep the controller from the others. */
  async #adopt(run: Run): Promise<void> {
    try {
      await this.#launch(run);
    } catch (error) {
      const { retry, message } = RetortError.from(error);
      if (retry === "later") throw error;
      await this.#fail(run, message);
    }
  }

  async #launchOrFail(run: Run): Promise<void> {
    try {
      await this.#launch(run);
    } catch (error) {
      const { log } = this.#options;
      await this.#fail(run, RetortError.from(error).message).catch((failure: unknown) =>
        log.error({ err: failure }, "giving a run up failed"),
      );
      throw error;
    }
  }

  async #launch(run: Run): Promise<void> {
    const { launcher, streams } = this.#options;
    const resolved = resolveRun(run.spec!);
    await ensureRun(streams, consumersOf(run, resolved));
    await launcher.launch(run, roleSetsOf(run, resolved));
  }

  /** Ends what is left of a run that is over. */
  async #cleanUp(run: Run): Promise<void> {
    const { launcher, streams, runs } = this.#options;
    await launcher.stop(run.runId);
    await removeRun(streams, consumersOf(run, resolveRun(run.spec!)));
    // Processes that were killed did not sign off.
    for (const { name } of await runs.registrations(run.runId)) await runs.unregister(run.runId, name);
  }

  /** Says in the run's events why it is not going on. */
  async #delayed({ runId, key, message }: Delay): Promise<void> {
    const { streams, log } = this.#options;
    log.warn({ runId }, message);
    await publishEvent(streams, runId, { case: "warning", value: { message } }, `delayed/${key}`);
  }

  async #ended({ set: { runId, role }, code, message }: Exit): Promise<void> {
    if (this.#closing) return;
    const { runs, launcher } = this.#options;
    const run = await runs.get(runId).catch(async (error: unknown) => {
      // What serves a run that nobody knows of any more has nothing to do.
      if (RetortError.from(error).code !== "NotFound") throw error;
      await launcher.stop(runId);
    });
    if (!run) return;
    if (isOver(run.state)) return this.#cleanUp(run);
    // A learner is done when its run is over: somebody resumed the run since.
    if (role === "learner" && code === 0) return this.#launchOrFail(run);
    await this.#fail(run, `${role} ended with code ${code}: ${message || "see its log"}`);
  }

  async #fail({ runId }: Run, message: string): Promise<void> {
    const { runs, streams } = this.#options;
    const run = await runs.update(runId, (next) => {
      if (isOver(next.state)) return false;
      Object.assign(next, { state: RunState.FAILED, message, finished: timestampNow() });
      return true;
    });
    await publishEvent(streams, runId, { case: "stateChanged", value: { state: RunState.FAILED, message } }, `failed/${run.fence}`);
    await this.#cleanUp(run);
  }

  #inTurn(runId: string, work: () => Promise<void>): Promise<void> {
    const turn = this.#turns.get(runId) ?? pLimit(1);
    this.#turns.set(runId, turn);
    return turn(work).finally(() => {
      if (turn.activeCount + turn.pendingCount === 0) this.#turns.delete(runId);
    });
  }
}

function consumersOf({ runId }: Run, { teachers, replicas, maxAttempts }: ResolvedRun) {
  return { runId, teachers, rewarded: replicas.reward > 0, maxAttempts };
}

/** The roles of a run. The learner is first: where there are owners, it is the others'. */
function roleSetsOf({ runId }: Run, { teachers, replicas }: ResolvedRun): RoleSet[] {
  const sets: RoleSet[] = [
    { runId, role: "learner", replicas: 1 },
    { runId, role: "student", replicas: replicas.student },
    ...teachers.map((teacher): RoleSet => ({ runId, role: "teacher", teacher, replicas: replicas.teacher })),
    { runId, role: "reward", replicas: replicas.reward },
  ];
  return sets.filter(({ replicas: count }) => count > 0);
}

/** Refuses an action on a run that is over. */
export function checkGoing({ runId, state }: Run, action: string): void {
  if (isOver(state))
    throw new RetortError("FailedPrecondition", `run ${runId} is ${RunState[state].toLowerCase()}; it cannot be ${action}`);
}
