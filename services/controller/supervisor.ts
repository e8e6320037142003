import { timestampNow } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../shared/base/errors.js";
import type { Log } from "../shared/base/log.js";
import type { Streams } from "../shared/base/streams/connection.js";
import { publishEvent } from "../shared/flow/runs/events.js";
import { type ResolvedRun, resolveRun } from "../shared/flow/runs/resolve.js";
import { isOver, type RunStore } from "../shared/flow/runs/state.js";
import { ensureRun, removeRun } from "../shared/flow/streams.js";
import { type Run, RunState } from "../shared/gen/retort/v1/run_pb.js";
import type { Exit, Launcher, RoleInstance } from "./launcher.js";

export interface SupervisorOptions {
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly launcher: Launcher;
  readonly log: Log;
  readonly maxRestarts: number;
}

/** Exit codes after which the same process would fail again: its input is bad (sysexits). */
const hopeless = new Set([64, 65, 66, 73, 77, 78]);

/** Keeps the processes of every run that is not over, and takes them away when it is. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #restarts = new Map<string, number>();
  #closing = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    options.launcher.onExit((exit) => {
      this.#exited(exit).catch((error: unknown) =>
        options.log.error({ err: error, ...exit.instance }, "handling the end of a process failed"),
      );
    });
  }

  /** Takes up every run that is not over: after a restart of the controller. */
  async adopt(): Promise<void> {
    for (const run of await this.#options.runs.list()) if (!isOver(run.state)) await this.launch(run);
  }

  /** Makes a run's consumers and starts its processes; what is there already is left alone. */
  async launch(run: Run): Promise<void> {
    const { launcher, streams } = this.#options;
    const resolved = resolveRun(run.spec!);
    await ensureRun(streams, consumersOf(run, resolved));
    for (const instance of instancesOf(run, resolved)) await launcher.launch(run, instance);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.#options.launcher.close();
  }

  /** Ends what is left of a run that is over. */
  async cleanUp(run: Run): Promise<void> {
    const { launcher, streams } = this.#options;
    await launcher.stop(run.runId);
    await removeRun(streams, consumersOf(run, resolveRun(run.spec!)));
  }

  async #exited({ instance, code, message }: Exit): Promise<void> {
    if (this.#closing) return;
    const { runs, launcher, log, maxRestarts } = this.#options;
    const { runId, role } = instance;
    const run = await runs.get(runId);
    if (isOver(run.state)) return this.cleanUp(run);
    const key = `${runId}/${role}/${instance.teacher ?? ""}/${instance.index}`;
    const restarts = (this.#restarts.get(key) ?? 0) + 1;
    this.#restarts.set(key, restarts);
    log.warn({ ...instance, code, restarts }, `a process ended: ${message || "no message"}`);
    if (hopeless.has(code) || restarts > maxRestarts)
      return this.#fail(run, `${role} ${instance.index} ended with code ${code}: ${message || "see its log"}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(10_000, 250 * 2 ** restarts)));
    if (!this.#closing && !isOver((await runs.get(runId)).state)) await launcher.launch(run, instance);
  }

  async #fail({ runId }: Run, message: string): Promise<void> {
    const { runs, streams } = this.#options;
    const run = await runs.update(runId, (next) => {
      if (isOver(next.state)) return false;
      Object.assign(next, { state: RunState.FAILED, message, finished: timestampNow() });
      return true;
    });
    await publishEvent(streams, runId, { case: "stateChanged", value: { state: RunState.FAILED, message } }, `failed/${run.fence}`);
    await this.cleanUp(run);
  }
}

function consumersOf({ runId }: Run, { teachers, replicas, maxAttempts }: ResolvedRun) {
  return { runId, teachers, rewarded: replicas.reward > 0, maxAttempts };
}

/** Every process of a run. */
function instancesOf({ runId }: Run, { teachers, replicas }: ResolvedRun): RoleInstance[] {
  const many = (count: number, make: (index: number) => RoleInstance) => Array.from({ length: count }, (_, index) => make(index));
  return [
    ...many(replicas.student, (index) => ({ runId, role: "student", index })),
    ...teachers.flatMap((teacher, t) =>
      many(replicas.teacher, (index) => ({ runId, role: "teacher", index: t * replicas.teacher + index, teacher })),
    ),
    ...many(replicas.reward, (index) => ({ runId, role: "reward", index })),
    { runId, role: "learner", index: 0 },
  ];
}

/** Refuses an action on a run that is over. */
export function checkGoing({ runId, state }: Run, action: string): void {
  if (isOver(state))
    throw new RetortError("FailedPrecondition", `run ${runId} is ${RunState[state].toLowerCase()}; it cannot be ${action}`);
}
