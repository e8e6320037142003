import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Log } from "../shared/base/log.js";
import { type ProcessSettings, toFlags } from "../shared/base/settings.js";
import type { Run } from "../shared/gen/retort/v1/run_pb.js";
import { askedToLeave, type Exit, hopelessExits, type Launcher, lastError, type RoleSet, type Watcher } from "./launcher.js";
import { checkProcesses } from "./process-limit.js";

export interface LocalLauncherOptions {
  /** The controller's own; what every process of a run needs of them is passed on. */
  readonly settings: ProcessSettings;
  /** How often one process is started again after a crash. */
  readonly maxRestarts: number;
  /** How long a process may take to stop before it is killed. */
  readonly graceMs: number;
  readonly log: Log;
}

const main = fileURLToPath(new URL("../main.js", import.meta.url));

/** Settings that are the same in every process of an installation. */
const passedOn = [
  "dataDir",
  "logLevel",
  "nats",
  "natsCredentials",
  "natsTlsCa",
  "natsTlsCert",
  "natsTlsKey",
  "s3Endpoint",
  "traceEndpoint",
  "weightStore",
  "weightUrl",
] as const satisfies readonly (keyof ProcessSettings)[];

/** One process of a set. */
interface Instance {
  readonly set: RoleSet;
  readonly index: number;
}

interface Entry extends Instance {
  readonly run: Run;
  child: ChildProcess | undefined;
  restarts: number;
  stopping: boolean;
  timer?: NodeJS.Timeout;
}

/** Runs roles as child processes; each writes its log under the run's directory. */
export class LocalLauncher implements Launcher {
  readonly #options: LocalLauncherOptions;
  readonly #entries = new Map<string, Entry>();
  #watcher: Watcher | undefined;
  /** Ends that came before anybody watched. */
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
    await mkdir(this.#logs(run.runId), { recursive: true });
    for (const set of sets) {
      for (let index = 0; index < set.replicas; index++) {
        const key = `${set.runId}/${nameOf({ set, index })}`;
        if (this.#entries.has(key)) continue;
        const entry: Entry = { set, index, run, child: undefined, restarts: 0, stopping: false };
        this.#entries.set(key, entry);
        this.#start(key, entry);
      }
    }
  }

  async stop(runId: string): Promise<void> {
    await this.#end([...this.#entries].filter(([, { run }]) => run.runId === runId));
  }

  async close(): Promise<void> {
    await this.#end([...this.#entries]);
  }

  #start(key: string, entry: Entry): void {
    const log = createWriteStream(join(this.#logs(entry.run.runId), `${nameOf(entry)}.log`), { flags: "a" });
    const child = spawn(process.execPath, [main, ...this.#arguments(entry)], { stdio: ["ignore", "pipe", "pipe"] });
    entry.child = child;
    let message = "";
    child.stdout.pipe(log, { end: false });
    child.stderr.on("data", (chunk: Buffer) => {
      log.write(chunk);
      message = lastError(chunk.toString()) ?? message;
    });
    child.once("close", (code, signal) => {
      log.end();
      entry.child = undefined;
      if (!entry.stopping) this.#exited(key, entry, code ?? 128, message || (signal ? `ended by ${signal}` : ""));
    });
  }

  /** Starts a process again, or tells of its end if that is no use. */
  #exited(key: string, entry: Entry, code: number, message: string): void {
    const { set, index } = entry;
    const done = set.role === "learner" && code === 0;
    if (!done && !askedToLeave.includes(code)) entry.restarts++;
    const { restarts } = entry;
    if (!done) this.#options.log.warn({ ...set, index, code, restarts }, `a process ended: ${message || "no message"}`);
    if (!done && !hopelessExits.includes(code) && restarts <= this.#options.maxRestarts) {
      entry.timer = setTimeout(() => this.#start(key, entry), Math.min(10_000, 250 * 2 ** restarts));
      return;
    }
    this.#entries.delete(key);
    this.#tell({ set, code, message });
  }

  #tell(exit: Exit): void {
    // The watcher logs what goes wrong with that.
    if (this.#watcher) this.#watcher.ended(exit).catch(() => {});
    else this.#early.push(exit);
  }

  async #end(entries: readonly [string, Entry][]): Promise<void> {
    await Promise.all(
      entries.map(async ([key, entry]) => {
        entry.stopping = true;
        clearTimeout(entry.timer);
        this.#entries.delete(key);
        const { child } = entry;
        if (!child) return;
        const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), this.#options.graceMs);
        await closed;
        clearTimeout(timer);
      }),
    );
  }

  #logs(runId: string): string {
    return join(this.#options.settings.dataDir, "runs", runId, "logs");
  }

  #arguments({ run: { runId, spec }, set: { role, teacher }, index }: Entry): string[] {
    const { device, threads } = spec?.roles?.[role] ?? { device: "", threads: 0 };
    const own = {
      run: runId,
      index,
      exitWithParent: true,
      logFormat: "json",
      device: device || undefined,
      threads: threads || undefined,
      teacher,
    };
    const { settings } = this.#options;
    return [`--role=${role}`, ...toFlags({ ...Object.fromEntries(passedOn.map((name) => [name, settings[name]])), ...own })];
  }
}

const nameOf = ({ set: { role, teacher }, index }: Instance): string =>
  [role, teacher, index].filter((part) => part !== undefined).join("-");
