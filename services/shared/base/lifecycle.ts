import { errorTable, RetortError } from "./errors.js";
import { exitNow } from "./exit.js";
import type { Log } from "./log.js";
import { tellParent } from "./ready.js";

/** Something a process runs: started in order, stopped in reverse order. */
export interface Service {
  readonly name: string;
  start?(): Promise<void>;
  /** Stops taking in work, finishes or hands back what is in hand, and closes what it has opened. */
  stop?(): Promise<void>;
}

/** Where a process is in its life. */
export type LifecycleState = "new" | "starting" | "running" | "stopping" | "terminated" | "failed";

/** The services of one process. */
export class Lifecycle {
  readonly #services: readonly Service[];
  readonly #log: Log;
  readonly #onStop: () => void;
  readonly #started: Service[] = [];
  state: LifecycleState = "new";

  /** @param onStop called once, before the first service is stopped */
  constructor(services: readonly Service[], log: Log, onStop: () => void = () => {}) {
    this.#services = services;
    this.#log = log;
    this.#onStop = onStop;
  }

  /** Starts every service; if one fails, those before it are stopped again and its error is thrown. A `stop` meanwhile ends it early. */
  async start(): Promise<void> {
    this.state = "starting";
    for (const service of this.#services) {
      if (this.#stopped()) return;
      try {
        this.#started.push(service);
        await service.start?.();
      } catch (error) {
        // What a stop interrupts may well throw.
        if (this.#stopped()) return;
        await this.stop();
        this.state = "failed";
        throw error;
      }
    }
    if (!this.#stopped()) this.state = "running";
  }

  #stopped(): boolean {
    return this.state === "stopping" || this.state === "terminated" || this.state === "failed";
  }

  /** Stops what was started, last first. A service that fails to stop does not keep the others from stopping. */
  async stop(): Promise<void> {
    if (this.#stopped()) return;
    this.state = "stopping";
    this.#onStop();
    for (const service of this.#started.reverse()) {
      await service
        .stop?.()
        .catch((error: unknown) => this.#log.error({ err: error, service: service.name }, "a service did not stop cleanly"));
    }
    this.#started.length = 0;
    this.state = "terminated";
  }
}

/** How a process runs. */
export interface ProcessOptions {
  readonly log: Log;
  /** How long a stop may take before the process exits anyway. */
  readonly graceMs: number;
  /** Called once, before the first service is stopped. */
  readonly onStop?: () => void;
}

/**
 * Runs a process to its end: starts the services, then waits for a signal, for `finished`, or for a failure; stops and
 * exits. A second signal exits at once. The exit code follows from the error's code. A process that a signal ends before it
 * has started, or whose work rejects with Cancelled when it is stopped, exits as cancelled: its work is not done.
 *
 * @param finished settles when the work is done by itself; rejects when the process has failed, or was cut short
 */
export async function runProcess(services: readonly Service[], finished: Promise<void>, options: ProcessOptions): Promise<never> {
  const { log, graceMs, onStop } = options;
  const lifecycle = new Lifecycle(services, log, onStop);
  let failure: RetortError | undefined;
  const signalled = new Promise<void>((resolve) => {
    let signals = 0;
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => {
        if (++signals > 1) return void exitNow(errorTable.Cancelled.exit);
        log.info({ signal }, "stopping");
        resolve();
      });
    }
  });
  const crashed = new Promise<never>((_, reject) => {
    process.on("unhandledRejection", reject);
    process.on("uncaughtException", reject);
  });
  const over = Promise.race([signalled, finished, crashed]);
  try {
    await Promise.race([lifecycle.start().then(() => over), over]);
  } catch (error) {
    failure = RetortError.from(error);
    const { code, problems, message } = failure;
    // The stack says something about a bug only.
    log.fatal(code === "Internal" || code === "Unknown" ? { err: failure, code } : { code, problems }, message);
  }
  if (lifecycle.state === "starting") failure ??= new RetortError("Cancelled", "stopped before it had started");
  const late = setTimeout(() => {
    log.error({ graceMs }, "the stop took longer than its grace period");
    void exitNow(errorTable.DeadlineExceeded.exit);
  }, graceMs);
  await lifecycle.stop();
  clearTimeout(late);
  failure ??= await outcome(finished);
  if (failure) await tellParent({ error: failure.toJSON() });
  return exitNow(failure?.exitCode ?? 0);
}

/** What work has rejected with, if it has settled at all. */
async function outcome(work: Promise<void>): Promise<RetortError | undefined> {
  const settled = await Promise.race([work, new Promise<void>((resolve) => setImmediate(resolve))]).catch((error: unknown) => error);
  return settled === undefined ? undefined : RetortError.from(settled);
}
