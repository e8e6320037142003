import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { mkdir, symlink } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { allocatorEnvironment } from "../../shared/base/allocator-environment.js";
import { ErrorFinder, type Log } from "../../shared/base/log.js";
import { type ProcessSettings, processSettings, toEnvironment, toFlags } from "../../shared/base/settings.js";
import type { RoleName } from "../../shared/flow/runs/resolve.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { Ending, Exit, Launcher, Pool, RoleSet, Watcher } from "../launch/launcher.js";
import { codeOfSignal, defaultWindowMs, Restarts } from "../launch/restarts.js";
import { roleFlags } from "../launch/role-flags.js";
import { checkProcesses } from "./process-limit.js";
import { ProcessLog } from "./process-log.js";

/** What the launcher of this machine works with. */
export interface LocalLauncherOptions {
  /** The controller's own; what every process of a run needs of them is passed on. */
  readonly settings: ProcessSettings;
  /** How often one process is started again after a crash, within the window of time (default {@link defaultWindowMs}). */
  readonly maxRestarts: number;
  readonly restartWindowMs?: number;
  /** How long a process may take to stop before it is killed. */
  readonly graceMs: number;
  readonly log: Log;
  /** The program that is every role. */
  readonly program?: string;
}

const main = fileURLToPath(new URL("../../main.js", import.meta.url));

/** Settings that are the same in every process of an installation. */
const passedOn = [
  "dataDir",
  "logLevel",
  "natsCredentials",
  "natsLogins",
  "natsReplicas",
  "natsTlsCa",
  "natsTlsCert",
  "natsTlsKey",
  "oneMachine",
  "weightStore",
  "weightUrl",
] as const satisfies readonly (keyof ProcessSettings)[];

/** Those that may hold a password, and are passed on by environment: every user of the machine sees command lines. */
const passedUnseen = ["nats", "s3Endpoint", "traceEndpoint"] as const satisfies readonly (keyof ProcessSettings)[];

/** One process of a set. */
interface Instance {
  readonly set: RoleSet;
  readonly index: number;
}

interface Entry {
  /** What it is called in its run or pool: its role and number, and the teacher's name where it is one run's. */
  readonly name: string;
  /** The sets that it stands for: one, or those of the runs that share it. */
  readonly sets: Set<RoleSet>;
  /** Directory of its log. */
  readonly logs: string;
  /** Flags of its own. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly role: RoleName;
  child: ChildProcess | undefined;
  readonly restarts: Restarts;
  stopping: boolean;
  /** Of a pool without runs: when it ends. */
  cooling?: NodeJS.Timeout | undefined;
  timer?: NodeJS.Timeout;
}

/** Runs roles as child processes; each writes its log under the run's directory. */
export class LocalLauncher implements Launcher {
  readonly #options: LocalLauncherOptions;
  readonly #entries = new Map<string, Entry>();
  #watcher: Watcher | undefined;
  /** Ends that came before there was a watcher. */
  readonly #early: Exit[] = [];

  constructor(options: LocalLauncherOptions) {
    this.#options = options;
  }

  async watch(watcher: Watcher): Promise<void> {
    this.#watcher = watcher;
    for (const exit of this.#early.splice(0)) this.#tell(exit);
  }

  async launch(run: Run, sets: readonly RoleSet[]): Promise<void> {
    checkProcesses(sets);
    for (const set of sets) {
      for (let index = 0; index < set.replicas; index++) {
        if (set.pool) await this.#share(run, set, set.pool, index);
        else this.#begin(`${set.runId}/${nameOf({ set, index })}`, set, () => this.#own(run, { set, index }));
      }
    }
  }

  async stop(runId: string, ending?: Ending): Promise<void> {
    const own: [string, Entry][] = [];
    for (const [key, entry] of this.#entries) {
      const left = [...entry.sets].filter((set) => set.runId === runId);
      const pool = left[0]?.pool;
      if (!pool) {
        if (left.length > 0) own.push([key, entry]);
        continue;
      }
      for (const set of left) entry.sets.delete(set);
      if (entry.sets.size === 0) entry.cooling ??= setTimeout(() => void this.#end([[key, entry]]), pool.keepWarmMs);
    }
    await this.#end(own, ending);
  }

  async close(): Promise<void> {
    await this.#end([...this.#entries]);
  }

  /** Starts a process that isn't there yet. */
  #begin(key: string, set: RoleSet, describe: () => Pick<Entry, "name" | "logs" | "flags">): Entry {
    const known = this.#entries.get(key);
    if (known) return known;
    const { maxRestarts, restartWindowMs = defaultWindowMs } = this.#options;
    const restarts = new Restarts({ maxRestarts, windowMs: restartWindowMs });
    const entry: Entry = { ...describe(), role: set.role, sets: new Set([set]), child: undefined, restarts, stopping: false };
    this.#entries.set(key, entry);
    this.#start(key, entry);
    return entry;
  }

  #own({ runId, spec }: Run, instance: Instance): Pick<Entry, "name" | "logs" | "flags"> {
    const { set, index } = instance;
    const flags = { run: runId, index, ...roleFlags(set.role, spec?.roles?.[set.role]), teacher: set.teacher };
    return { name: nameOf(instance), logs: this.#logs(runId), flags };
  }

  /** Lets a process of a pool stand for a run's teacher, too; its log is also found among the run's. */
  async #share(run: Run, set: RoleSet, { key: pool }: Pool, index: number): Promise<void> {
    const logs = join(this.#options.settings.dataDir, "pools", pool);
    const name = nameOf({ set: { role: set.role }, index });
    const entry = this.#begin(`pool/${pool}/${index}`, set, () => {
      const flags = { pool, index, ...roleFlags(set.role, run.spec?.roles?.[set.role]) };
      return { name, logs, flags };
    });
    clearTimeout(entry.cooling);
    entry.cooling = undefined;
    if (![...entry.sets].some(({ runId, teacher }) => runId === set.runId && teacher === set.teacher)) entry.sets.add(set);
    await mkdir(this.#logs(run.runId), { recursive: true });
    const link = join(this.#logs(run.runId), `${nameOf({ set, index })}.log`);
    await symlink(relative(this.#logs(run.runId), join(logs, `${name}.log`)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }

  #start(key: string, entry: Entry): void {
    const { log: controllerLog } = this.#options;
    const say = (sentence: string) => controllerLog.warn({ process: key }, sentence);
    const log = new ProcessLog({ path: join(entry.logs, `${entry.name}.log`), say });
    const errors = new ErrorFinder();
    let exited = false;
    const exit = (code: number, words: string) => {
      log.end();
      entry.child = undefined;
      if (!exited && !entry.stopping) this.#exited(key, entry, code, words);
      exited = true;
    };
    // The child watches its standard input: it closes when this process ends, however it ends.
    const child = spawnSafely([this.#options.program ?? main, ...this.#arguments(entry)], this.#environment(), (error) =>
      exit(unavailable, `it could not be started: ${error.message}`),
    );
    if (!child) return;
    entry.child = child;
    child.stdout.on("data", (chunk: Buffer) => log.write(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      log.write(chunk);
      errors.read(chunk);
    });
    child.once("close", (code, signal) =>
      exit(code ?? (signal ? codeOfSignal(signal) : 128), errors.last || (signal ? `ended by ${signal}` : "")),
    );
  }

  /** Starts a process again, or reports its end if a restart wouldn't help. */
  #exited(key: string, entry: Entry, code: number, message: string): void {
    const { role, sets, restarts } = entry;
    const tell = (words: string) => {
      this.#entries.delete(key);
      clearTimeout(entry.cooling);
      for (const set of sets) this.#tell({ set, code, message: words });
    };
    if (role === "learner" && code === 0) {
      tell(message);
      return;
    }
    const { restart, cause, count, delayMs, warning } = restarts.note(code, Date.now());
    this.#options.log.warn({ process: key, code, cause, count }, `a process ended: ${message || "no message"}`);
    if (warning) this.#warn(entry, warning, message);
    if (restart) entry.timer = setTimeout(() => void this.#again(key, entry, () => tell(message)), delayMs);
    else tell(cause === "killed" ? restarts.sentence(cause, count) : message);
  }

  /** Starts a process again, unless its runs are over since. */
  async #again(key: string, entry: Entry, tell: () => void): Promise<void> {
    const runs = [...entry.sets].map(({ runId }) => this.#watcher?.goesOn?.(runId).catch(() => true) ?? true);
    const goesOn = (await Promise.all(runs)).includes(true);
    if (entry.stopping) return;
    if (goesOn) this.#start(key, entry);
    else tell();
  }

  #warn({ name, sets }: Entry, warning: string, message: string): void {
    const words = `${name} ${warning}${message ? ` (${message})` : ""}; it is started again`;
    for (const { runId } of sets)
      this.#watcher?.delayed({ runId, key: `${name}/${Date.now()}`, message: words }).catch((error: unknown) => {
        this.#options.log.error({ err: error, runId }, words);
      });
  }

  #tell(exit: Exit): void {
    const failed = (error: unknown) => this.#options.log.error({ err: error, ...exit.set }, "the end of a process could not be handled");
    if (this.#watcher) this.#watcher.ended(exit).catch(failed);
    else this.#early.push(exit);
  }

  async #end(entries: readonly [string, Entry][], ending: Ending = "asked"): Promise<void> {
    await Promise.all(
      entries.map(async ([key, entry]) => {
        entry.stopping = true;
        clearTimeout(entry.timer);
        clearTimeout(entry.cooling);
        this.#entries.delete(key);
        const { child } = entry;
        if (!child) return;
        const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
        child.kill(ending === "killed" ? "SIGKILL" : "SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), this.#options.graceMs);
        await gone;
        clearTimeout(timer);
      }),
    );
  }

  #logs(runId: string): string {
    return join(this.#options.settings.dataDir, "runs", runId, "logs");
  }

  #environment(): NodeJS.ProcessEnv {
    const { settings } = this.#options;
    return {
      ...process.env,
      ...allocatorEnvironment(process.env),
      ...toEnvironment(processSettings, Object.fromEntries(passedUnseen.map((name) => [name, settings[name]]))),
    };
  }

  #arguments({ role, flags }: Entry): string[] {
    const { settings } = this.#options;
    const shared = Object.fromEntries(passedOn.map((name) => [name, settings[name]]));
    if (settings.weightStore !== "s3") shared.weightUrl = undefined;
    if (settings.weightStore !== "directory") shared.oneMachine = undefined;
    return [`--role=${role}`, ...toFlags({ ...shared, exitWithParent: true, logFormat: "json", ...flags })];
  }
}

/** Exit code that stands for a process that the system would not start: for want of memory, processes or files, which passes. */
const unavailable = 69;

/** Starts a node program with its standard streams as pipes; calls back, and may return nothing, if it cannot be started. */
function spawnSafely(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  failed: (error: Error) => void,
): ChildProcessByStdio<Writable, Readable, Readable> | undefined {
  try {
    const child = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "pipe"], env });
    child.once("error", (error) => {
      // A signal that could not be sent is one, too.
      if (child.pid === undefined) failed(error);
    });
    child.stdin.on("error", () => {});
    return child;
  } catch (error) {
    setImmediate(failed, error as Error);
    return undefined;
  }
}

const nameOf = ({ set: { role, teacher }, index }: { readonly set: Pick<RoleSet, "role" | "teacher">; readonly index: number }): string =>
  [role, teacher, index].filter((part) => part !== undefined).join("-");
