import pLimit, { type LimitFunction } from "p-limit";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import type { Log } from "../../shared/base/log.js";
import type { Streams } from "../../shared/base/streams/connection.js";
import { tellAudit } from "../../shared/flow/ledger/audit-run.js";
import { ensureEnd, publishEvent } from "../../shared/flow/runs/events.js";
import { type ResolvedRun, resolveRun, teacherName } from "../../shared/flow/runs/resolve.js";
import { isOver, type RunStore } from "../../shared/flow/runs/run-store.js";
import { TeacherPools } from "../../shared/flow/runs/teacher-pools.js";
import { ensureRun, removeRun } from "../../shared/flow/streams.js";
import { type Run, RunState } from "../../shared/gen/retort/v1/run_pb.js";
import { defaultStopDeadlineMs } from "../config.js";
import { fetchesOf } from "../launch/fetches-of.js";
import type { Delay, Exit, Launcher, Pool, RoleSet } from "../launch/launcher.js";
import { poolOf } from "../launch/pool-of.js";
import { inWords } from "../launch/restarts.js";
import { persist } from "./persist.js";
import type { RunStorage } from "./storage.js";
import { Wishes } from "./wishes.js";

/** What a supervisor works with. */
export interface SupervisorOptions {
  readonly streams: Streams;
  readonly runs: RunStore;
  readonly launcher: Launcher;
  readonly log: Log;
  /** Where runs keep their files; without it those of a run that is over stay. */
  readonly storage?: RunStorage;
  /** How long a run that is to stop may take, unless its wish says so itself. Default 120000. */
  readonly stopDeadlineMs?: number;
  /** After this it is said that a learner does not do what it is asked. Default 30000. */
  readonly noticeMs?: number;
}

/** How long a controller that is asked to stop waits for NATS if it is away. */
const patienceMs = 5000;

/** Keeps the roles of every run that is not over, and takes them away when it is. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #wishes: Wishes;
  /** One thing at a time per run: what takes a run's consumers away must not meet what makes them. */
  readonly #turns = new Map<string, LimitFunction>();
  readonly #closing = new AbortController();
  /** How often each run has been resumed: what is told of processes from before concerns it no more. */
  readonly #resumes = new Map<string, number>();
  #pools: TeacherPools | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const enforce = (runId: string) => this.#inTurn(runId, () => this.#enforce(runId));
    const rest = options.launcher.pause && ((runId: string) => this.#inTurn(runId, () => this.#rest(runId)));
    this.#wishes = new Wishes({
      ...options,
      stopDeadlineMs: options.stopDeadlineMs ?? defaultStopDeadlineMs,
      enforce,
      ...(rest && { rest }),
    });
  }

  /** Takes up every run that is not over, after a restart of the controller, and begins to hear of ends. */
  async adopt(): Promise<void> {
    const { runs, launcher } = this.#options;
    for (const { runId, state } of await runs.list()) if (!isOver(state)) await this.#inTurn(runId, () => this.#adopt(runId));
    await (await this.#openPools()).forget();
    await launcher.watch({
      ended: (exit) => {
        const { runId, role } = exit.set;
        const resumes = this.#resumes.get(runId);
        return this.#persist(`handling the end of a ${role} of run ${runId}`, runId, async () => {
          if (this.#resumes.get(runId) === resumes) await this.#ended(exit);
        });
      },
      delayed: (delay) => this.#delayed(delay),
      goesOn: (runId) => this.#goesOn(runId),
    });
  }

  /**
   * Makes a run's consumers and starts its roles; what is there already is left alone. A run that can never be launched has
   * failed; one that may be launched later is tried again until it is.
   */
  launch(run: Run): Promise<void> {
    return this.#inTurn(run.runId, () => this.#launchOrFail(run));
  }

  /** Looks after what a run is asked to do from now on: a stop has its deadline. */
  follow(runId: string): void {
    this.#wishes.follow(runId);
  }

  /** Ends a run whose stop is due: its processes are killed. Harmless if it is not. */
  enforce(runId: string): Promise<void> {
    return this.#inTurn(runId, () => this.#enforce(runId));
  }

  /** Makes a run that is over a pending one and starts its roles; one that is going goes on. @throws FailedPrecondition if it has succeeded */
  async resume(runId: string): Promise<Run> {
    const { runs, streams, launcher } = this.#options;
    return this.#inTurn(runId, async () => {
      const before = await runs.get(runId);
      if (isOver(before.state) && before.state !== RunState.SUCCEEDED) {
        // A learner tells why it failed before it ends: taken over, it would end the run once more.
        await launcher.stop(runId);
        this.#resumes.set(runId, (this.#resumes.get(runId) ?? 0) + 1);
      }
      const run = await runs.reopen(runId);
      if (run.state !== before.state)
        await publishEvent(
          streams,
          runId,
          { case: "stateChanged", value: { state: run.state, message: "resumed" } },
          `resumed/${Date.now()}`,
        );
      await this.#launchOrFail(run);
      return run;
    });
  }

  /** True if a run is paused and its processes are gone, or about to go: there is no process to ask anything of. */
  async holds({ runId, state }: Run): Promise<boolean> {
    const { launcher, runs } = this.#options;
    return launcher.pause !== undefined && state === RunState.PAUSED && (await runs.control(runId)) === "pause";
  }

  /** Does something with a run while nothing else is done with it: as to delete it. */
  alone<T>(runId: string, work: () => Promise<T>): Promise<T> {
    return this.#inTurn(runId, work);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wishes.close();
    this.#options.streams.hurry(patienceMs);
    await this.#options.launcher.close();
  }

  /** A run that cannot be launched, or read, must not keep the controller from the others. */
  async #adopt(runId: string): Promise<void> {
    const { runs, log } = this.#options;
    try {
      const run = await runs.get(runId);
      const wish = await runs.wish(runId);
      if (wish.control !== "run") this.#wishes.follow(runId);
      // It is ended where it is if its time is up.
      if (wish.control === "stop" && this.#wishes.deadlineOf(wish, Date.now()) <= Date.now()) return;
      if (await this.holds(run)) return;
      await this.#launch(run, wish.control === "stop");
    } catch (error) {
      log.error({ err: error, runId }, "taking a run up again failed");
      await this.#unlaunched(runId, RetortError.from(error)).catch((failure: unknown) => this.#launchLater(runId, failure));
    }
  }

  /** Gives back what the processes of a paused run hold, unless it has been resumed since. */
  async #rest(runId: string): Promise<void> {
    const { runs, launcher } = this.#options;
    const run = await runs.find(runId);
    if (run && (await this.holds(run))) await launcher.pause?.(runId, roleSetsOf(run, resolvedOf(run), await poolsOf(run)));
  }

  async #launchOrFail(run: Run): Promise<void> {
    try {
      await this.#launch(run);
    } catch (thrown) {
      const error = RetortError.from(thrown);
      await this.#unlaunched(run.runId, error).catch((failure: unknown) =>
        this.#options.log.error({ err: failure, runId: run.runId }, "giving a run up failed"),
      );
      if (error.retry === "never") throw thrown;
    }
  }

  /** A launch that failed: it is tried again where that may help, else the run has failed. */
  async #unlaunched(runId: string, error: RetortError): Promise<void> {
    if (error.retry === "later") this.#launchLater(runId, error);
    else await this.#end(runId, RunState.FAILED, error.message);
  }

  #launchLater(runId: string, reason: unknown): void {
    const { runs, log } = this.#options;
    log.warn({ err: reason, runId }, "a run cannot be launched yet; trying again");
    void this.#delayed({
      runId,
      key: `launch/${Date.now()}`,
      message: `the run's roles cannot be started yet: ${RetortError.from(reason).message}`,
    }).catch(() => {});
    void this.#persist(`launching run ${runId}`, runId, async () => {
      if (!(await this.#goesOn(runId))) return;
      const run = await runs.get(runId);
      await this.#launch(run).catch((error: unknown) => {
        if (RetortError.from(error).retry === "later") throw error;
        return this.#end(runId, RunState.FAILED, RetortError.from(error).message);
      });
    });
  }

  /** @param leaving what is being stopped needs its learner alone, for the last checkpoint */
  async #launch(run: Run, leaving = false): Promise<void> {
    const { launcher, streams } = this.#options;
    const resolved = resolvedOf(run);
    await ensureRun(streams, consumersOf(run, resolved));
    const sets = roleSetsOf(run, resolved, await poolsOf(run));
    if (leaving) return launcher.launch(run, sets.slice(0, 1));
    const pools = await this.#openPools();
    for (const { runId, teacher, pool } of sets) if (pool && teacher) await pools.join(pool.key, { runId, teacher });
    await launcher.launch(run, sets);
  }

  /** Ends what is left of a run that is over. @param killed its processes have been ended already */
  async #cleanUp(run: Run, killed = false): Promise<void> {
    const { launcher, streams, runs, storage, log } = this.#options;
    await ensureEnd(streams, run);
    await (await this.#openPools()).leave(run.runId);
    if (!killed) await launcher.stop(run.runId);
    await removeRun(streams, consumersOf(run, resolvedOf(run)));
    // Processes that were killed did not sign off.
    for (const registered of await runs.registrations(run.runId)) await runs.unregister(run.runId, registered);
    await storage
      ?.release(run)
      .catch((error: unknown) => log.warn({ err: error, runId: run.runId }, "stored weights of a run could not be deleted"));
  }

  /** Which runs' teachers pools stand for; opened once it is needed. */
  async #openPools(): Promise<TeacherPools> {
    this.#pools ??= await TeacherPools.open(this.#options.streams);
    return this.#pools;
  }

  /** Says in the run's events why it is not going on. */
  async #delayed({ runId, key, message }: Delay): Promise<void> {
    const { streams, log } = this.#options;
    log.warn({ runId }, message);
    await publishEvent(streams, runId, { case: "warning", value: { message } }, `delayed/${key}`);
  }

  async #goesOn(runId: string): Promise<boolean> {
    const run = await this.#options.runs.find(runId);
    return run !== undefined && !isOver(run.state);
  }

  async #ended({ set: { runId, role }, code, message }: Exit): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const { runs, launcher } = this.#options;
    const run = await this.#options.runs.find(runId);
    // What serves a run that is not known any more has nothing to do.
    if (!run) {
      await (await this.#openPools()).leave(runId);
      return launcher.stop(runId);
    }
    const { control, since } = await runs.wish(runId);
    if (run.state === RunState.STOPPED && control === "run" && since > 0) {
      // It was resumed while its learner was still stopping.
      await launcher.stop(runId);
      return this.#launchOrFail(await runs.reopen(runId));
    }
    if (isOver(run.state)) return this.#cleanUp(run);
    const reason = `${role} ended with code ${code}: ${message || "see its log"}`;
    if (control === "stop" && (role !== "learner" || code !== 0))
      return this.#end(runId, RunState.STOPPED, `${reason}; ${resumeWords(run)}`);
    // A learner is done when its run is over: it was resumed since.
    if (role === "learner" && code === 0) return this.#launchOrFail(run);
    await this.#end(runId, RunState.FAILED, reason);
  }

  /** Ends a run whose stop is due, whatever its processes do. */
  async #enforce(runId: string): Promise<void> {
    const { runs, launcher } = this.#options;
    const run = await this.#options.runs.find(runId);
    if (!run || isOver(run.state)) return;
    const wish = await runs.wish(runId);
    if (wish.control !== "stop" || this.#wishes.deadlineOf(wish, 0) > Date.now()) return;
    await launcher.stop(runId, "killed");
    const allowedMs = (wish.deadline ?? 0) - wish.since;
    const how =
      allowedMs > 0
        ? `its learner had not saved a checkpoint ${inWords(allowedMs)} after it was asked to stop`
        : "its processes were ended at once";
    await this.#end(runId, RunState.STOPPED, `${how}; ${resumeWords(await runs.get(runId))}`, true);
  }

  /** Records the end of a run, unless it has one, and takes everything away. */
  async #end(runId: string, state: RunState, message: string, killed = false): Promise<void> {
    const { runs, streams } = this.#options;
    const ended = await runs.transition(runId, state, message);
    // Its learner can't account for it any more.
    if (ended) await tellAudit(streams, ended);
    await this.#cleanUp(ended ?? (await runs.get(runId)), killed);
  }

  #persist(what: string, runId: string, work: () => Promise<void>): Promise<void> {
    return persist(what, () => this.#inTurn(runId, work), this.#options.log, this.#closing.signal);
  }

  #inTurn<T>(runId: string, work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.get(runId) ?? pLimit(1);
    this.#turns.set(runId, turn);
    return turn(work).finally(() => {
      if (turn.activeCount + turn.pendingCount === 0) this.#turns.delete(runId);
    });
  }
}

/** Where a resume of a run would begin. */
const resumeWords = ({ checkpoint }: Run): string =>
  checkpoint ? `a resume goes on from the checkpoint of step ${checkpoint.step}` : "there is no checkpoint: a resume begins at step 0";

const resolvedOf = ({ runId, spec }: Run): ResolvedRun => resolveRun(found(spec, `the spec of run ${runId}`));

function consumersOf({ runId }: Run, { teachers, replicas, maxAttempts }: ResolvedRun) {
  return { runId, teachers, rewarded: replicas.reward > 0, maxAttempts };
}

/** The pools that a run's teachers ask for, by their names. */
async function poolsOf({ runId, spec, fetched }: Run): Promise<ReadonlyMap<string, Pool | undefined>> {
  const known = found(spec, `the spec of run ${runId}`);
  const pinned = new Set(fetched.map(({ path }) => path));
  return new Map(
    await Promise.all(known.teachers.map(async (teacher) => [teacherName(teacher.name), await poolOf(known, teacher, pinned)] as const)),
  );
}

/** The roles of a run. The learner is first: where there are owners, it is the others'. */
function roleSetsOf(run: Run, { teachers, replicas }: ResolvedRun, pools: ReadonlyMap<string, Pool | undefined>): RoleSet[] {
  const { runId } = run;
  const sets: RoleSet[] = [
    { runId, role: "learner", replicas: 1 },
    { runId, role: "student", replicas: replicas.student },
    ...teachers.map((teacher): RoleSet => ({ runId, role: "teacher", teacher, replicas: replicas.teacher, pool: pools.get(teacher) })),
    { runId, role: "reward", replicas: replicas.reward },
  ];
  return sets
    .filter(({ replicas: count }) => count > 0)
    .map((set) => {
      const fetches = fetchesOf(run, set);
      return fetches.length > 0 ? { ...set, fetches } : set;
    });
}

/** Refuses an action on a run that is over. */
export function checkGoing({ runId, state }: Run, action: string): void {
  if (isOver(state))
    throw new RetortError("FailedPrecondition", `run ${runId} is ${RunState[state].toLowerCase()}; it cannot be ${action}`);
}
