import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { RetortError } from "../../shared/base/errors.js";
import { lastError } from "../../shared/base/log.js";
import { whenServing } from "../../shared/base/ready.js";
import { toFlags } from "../../shared/base/settings.js";
import type { TeacherServer } from "./ask-teacher.js";

const main = fileURLToPath(new URL("../../main.js", import.meta.url));

/** What a process that reads its callers' files needs of this one's environment: no settings, and no secrets but those of servers. */
const passedOn =
  /^(HOME|LANG|LD_LIBRARY_PATH|NODE_EXTRA_CA_CERTS|PATH|TMPDIR|RETORT_(TEACHER_TOKEN(_.*)?|SERVER_TOKEN_(HOSTS|PLAINTEXT)))$/;

/** How much of the end of a process's log is kept, in characters. */
const keptLog = 65_536;

/** Bounds of one process. */
export interface DescribingOptions {
  /** Most MiB of its JavaScript heap. */
  readonly memoryMb: number;
  /** Longest that it may take to start. */
  readonly timeoutMs: number;
}

/** Where a process answers, and what it asks its callers for. */
type Server = Omit<TeacherServer, "source">;

/** A teacher's process that says what model directories are, to callers on this machine that know its token. */
export class DescribingProcess {
  /** Where it answers, as soon as it does; rejects if it ends before, or takes too long. */
  readonly server: Promise<Server>;
  /** Settles when the process has ended, with what that means. */
  readonly ended: Promise<RetortError>;
  readonly #child: ChildProcess;

  constructor({ memoryMb, timeoutMs }: DescribingOptions) {
    const token = randomUUID();
    this.#child = start(memoryMb, token);
    let log = "";
    this.#child.stdin?.on("error", () => {});
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-keptLog);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("error", ({ message }) => resolve(new RetortError("Unavailable", `no teacher can be started: ${message}`)));
      this.#child.once("close", (code, signal) => resolve(meaningOf(code ?? signal ?? "", log, memoryMb)));
    });
    this.server = whenServing(this.#child, { timeoutMs }).then(
      ({ grpcPort }) => ({ address: `127.0.0.1:${grpcPort}`, token }),
      // Its end says more than that it has not served.
      async (error: RetortError) => Promise.reject(error.code === "DeadlineExceeded" ? error : await this.ended),
    );
    this.server.catch(() => {});
  }

  /** Decides whether the process keeps this one alive. */
  hold(isHeld: boolean): void {
    const { stdin, stderr } = this.#child;
    const sockets = [stdin, stderr].filter((stream) => stream instanceof Socket);
    for (const handle of [this.#child, ...sockets]) isHeld ? handle.ref() : handle.unref();
  }

  /** Ends the process at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function start(memoryMb: number, token: string): ChildProcess {
  const flags = toFlags({ describeOnly: true, host: "127.0.0.1", exitWithParent: true, logFormat: "json" });
  const argv = [`--max-old-space-size=${memoryMb}`, main, "--role=teacher", ...flags];
  const own = Object.entries(process.env).filter(([name]) => passedOn.test(name));
  const env = { ...Object.fromEntries(own), RETORT_TOKEN: token };
  // The child watches its standard input: it closes when this process ends, however it ends.
  return spawn(process.execPath, argv, { stdio: ["pipe", "ignore", "pipe", "ipc"], env });
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
