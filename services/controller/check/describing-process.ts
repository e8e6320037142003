import { type ChildProcessByStdio, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { deferred } from "../../shared/base/deferred.js";
import { RetortError } from "../../shared/base/errors.js";
import { lastError } from "../../shared/base/log.js";
import { toFlags } from "../../shared/base/settings.js";
import type { TeacherServer } from "./ask-teacher.js";

const main = fileURLToPath(new URL("../../main.js", import.meta.url));

/** What a process that reads its callers' files needs of this one's environment: no settings and no secrets. */
const passedOn = ["HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR"];

/** How much of the end of a process's log is kept, in characters. */
const keptLog = 65_536;

/** Where a process answers, and what it asks its callers for. */
type Server = Omit<TeacherServer, "model">;

/** A teacher's process that says what model directories are, to callers on this machine that know its token. */
export class DescribingProcess {
  /** Where it answers, as soon as it does; rejects if it ends before. */
  readonly server: Promise<Server>;
  /** Settles when the process has ended, with what that means. */
  readonly ended: Promise<RetortError>;
  readonly #child: ChildProcessByStdio<Writable, null, Readable>;

  /** @param memoryMb most MiB of its JavaScript heap */
  constructor(memoryMb: number) {
    const token = randomUUID();
    this.#child = start(memoryMb, token);
    const { stdin, stderr } = this.#child;
    stdin.on("error", () => {});
    const [ended, server] = [deferred<RetortError>(), deferred<Server>()];
    this.ended = ended.promise;
    this.server = server.promise;
    let log = "";
    this.#child.once("error", ({ message }) => ended.resolve(new RetortError("Unavailable", `no teacher can be started: ${message}`)));
    this.#child.once("close", (code, signal) => ended.resolve(meaningOf(code ?? signal ?? "", log, memoryMb)));
    stderr.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-keptLog);
      const port = /"grpcPort":(\d+)/.exec(log)?.[1];
      if (port) server.resolve({ address: `127.0.0.1:${port}`, token });
    });
    this.ended.then(server.reject);
    this.server.catch(() => {});
  }

  /** Decides whether the process keeps this one alive. */
  hold(isHeld: boolean): void {
    const { stdin, stderr } = this.#child;
    for (const handle of [this.#child, stdin, stderr])
      if (handle === this.#child || handle instanceof Socket) {
        if (isHeld) handle.ref();
        else handle.unref();
      }
  }

  /** Ends the process at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function start(memoryMb: number, token: string): ChildProcessByStdio<Writable, null, Readable> {
  const flags = toFlags({ describeOnly: true, host: "127.0.0.1", exitWithParent: true, logFormat: "json", logLevel: "info" });
  const argv = [`--max-old-space-size=${memoryMb}`, main, "--role=teacher", ...flags];
  const own = passedOn.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const env = { ...Object.fromEntries(own), RETORT_TOKEN: token };
  // The child watches its standard input: it closes when this process ends, however it ends.
  return spawn(process.execPath, argv, { stdio: ["pipe", "ignore", "pipe"], env });
}

/** What the end of a process means. @param how its exit code, or the signal that ended it */
function meaningOf(how: number | string, log: string, memoryMb: number): RetortError {
  // The kernel kills where memory is full, and Node says so where the heap is.
  if (how === "SIGKILL" || /heap out of memory|JavaScript OOM/.test(log))
    return new RetortError("ResourceExhausted", `looking at a teacher's files took more than ${memoryMb} MiB of memory`, {
      retry: "never",
    });
  const said = lastError(log) ?? "no message";
  return new RetortError("Internal", `the process that looks at teachers' files ended with ${how}: ${said}`);
}
