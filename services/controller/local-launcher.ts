import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Run } from "../shared/gen/retort/v1/run_pb.js";
import type { Exit, Launcher, RoleInstance } from "./launcher.js";

export interface LocalLauncherOptions {
  readonly nats: string;
  readonly dataDir: string;
  readonly logLevel: string;
  /** How long a process may take to stop before it is killed. */
  readonly graceMs: number;
}

const main = fileURLToPath(new URL("../main.js", import.meta.url));

/** Runs roles as child processes; each writes its log under the run's directory. */
export class LocalLauncher implements Launcher {
  readonly #options: LocalLauncherOptions;
  readonly #children = new Map<string, { instance: RoleInstance; child: ChildProcess; stopping: boolean }>();
  #listener: (exit: Exit) => void = () => {};

  constructor(options: LocalLauncherOptions) {
    this.#options = options;
  }

  onExit(listener: (exit: Exit) => void): void {
    this.#listener = listener;
  }

  async launch(run: Run, instance: RoleInstance): Promise<void> {
    const key = keyOf(instance);
    if (this.#children.has(key)) return;
    const { dataDir } = this.#options;
    const logs = join(dataDir, "runs", run.runId, "logs");
    await mkdir(logs, { recursive: true });
    const log = createWriteStream(join(logs, `${nameOf(instance)}.log`), { flags: "a" });
    const child = spawn(process.execPath, [main, ...this.#arguments(run, instance)], { stdio: ["ignore", "pipe", "pipe"] });
    const entry = { instance, child, stopping: false };
    this.#children.set(key, entry);
    let message = "";
    child.stdout.pipe(log, { end: false });
    child.stderr.on("data", (chunk: Buffer) => {
      log.write(chunk);
      message = lastError(chunk.toString()) ?? message;
    });
    child.once("close", (code, signal) => {
      log.end();
      this.#children.delete(key);
      if (!entry.stopping) this.#listener({ instance, code: code ?? 128, message: message || (signal ? `ended by ${signal}` : "") });
    });
  }

  async stop(runId: string): Promise<void> {
    await this.#end([...this.#children.values()].filter(({ instance }) => instance.runId === runId));
  }

  async close(): Promise<void> {
    await this.#end([...this.#children.values()]);
  }

  async #end(entries: readonly { child: ChildProcess; stopping: boolean }[]): Promise<void> {
    await Promise.all(
      entries.map(async (entry) => {
        entry.stopping = true;
        const { child } = entry;
        const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), this.#options.graceMs);
        await closed;
        clearTimeout(timer);
      }),
    );
  }

  #arguments({ runId, spec }: Run, { role, index, teacher }: RoleInstance): string[] {
    const { nats, dataDir, logLevel } = this.#options;
    const { device, threads } = spec?.roles?.[role] ?? { device: "", threads: 0 };
    const flags: Record<string, string | number | undefined> = {
      run: runId,
      index,
      nats,
      "data-dir": dataDir,
      "log-format": "json",
      "log-level": logLevel,
    };
    Object.assign(flags, { device: device || undefined, threads: threads || undefined, teacher });
    return [`--role=${role}`, ...Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]))];
  }
}

const nameOf = ({ role, index, teacher }: RoleInstance): string => [role, teacher, index].filter((part) => part !== undefined).join("-");
const keyOf = (instance: RoleInstance): string => `${instance.runId}/${nameOf(instance)}`;

/** The message of the last error line in a piece of a JSON log. */
function lastError(text: string): string | undefined {
  for (const line of text.trim().split("\n").reverse()) {
    try {
      const { level, msg } = JSON.parse(line) as { level: number; msg: string };
      if (level >= 50) return msg;
    } catch {
      // Not a log line: what a crashing runtime prints is as good a reason as any.
      if (line.includes("Error")) return line;
    }
  }
  return undefined;
}
