import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { allocatorEnvironment } from "../shared/base/allocator-environment.js";
import { RetortError } from "../shared/base/errors.js";
import { found } from "../shared/base/found.js";
import { lockDirectory } from "../shared/base/lock-directory.js";
import { lastErrorIn } from "../shared/base/log.js";
import { findNatsServer, type NatsServer } from "../shared/base/nats-server.js";
import { type DirectoryKind, ownDirectory } from "../shared/base/own-directory.js";
import { endLeftover } from "../shared/base/processes.js";
import { whenServing } from "../shared/base/ready.js";
import { type Client, type ClientOptions, createClient } from "../shared/base/rpc/client.js";
import { ControllerService } from "../shared/gen/retort/v1/controller_pb.js";
import { waitForSpace } from "./disk-space.js";
import { KeptRunning, type Part } from "./keep-running.js";
import { type NatsPart, startNatsPart } from "./nats-part.js";
import { type Supervised, supervisor } from "./supervise.js";

/** The program of all roles. */
export const mainProgram = fileURLToPath(new URL("../main.js", import.meta.url));

/** A client of a controller. */
export type ControllerClient = Client<typeof ControllerService>;

/** Connects to a controller at host:port. */
export const connectController = (address: string, access: Pick<ClientOptions, "token" | "tls"> = {}): ControllerClient =>
  createClient(ControllerService, address, { timeoutMs: 60_000, maxMessageBytes: 64 * 1024 * 1024, ...access });

/** How NATS and a controller run on this machine. */
export interface LocalOptions {
  readonly dataDir: string;
  /** gRPC port of the controller; 0 takes a free one. */
  readonly port: number;
  /** Port of its live page. Default: a free one. */
  readonly httpPort?: number;
  /** Port of nats-server; 0 takes a free one. */
  readonly natsPort: number;
  readonly progress: (sentence: string) => void;
  /** What the directory is marked as. Default: data. */
  readonly kind?: DirectoryKind;
  /** Takes a directory that holds files of others, too. */
  readonly force?: boolean;
  /** What only who knows it may call the controller with, whatever the environment says of tokens and TLS. Default: as the environment says. */
  readonly token?: string;
  /** File with those who share the controller. */
  readonly tenants?: string | undefined;
}

/**
 * The environment of a process that serves this command alone, on loopback and in plaintext: how this user's others are to serve isn't its.
 *
 * @param token that callers must know; empty for none
 */
export const privateEnvironment = (token: string): NodeJS.ProcessEnv => ({
  RETORT_HOST: "",
  RETORT_PORT: "",
  RETORT_HTTP_PORT: "",
  RETORT_HEALTH_PORT: "",
  RETORT_METRICS_PORT: "",
  RETORT_OPENAI_PORT: "",
  RETORT_TOKEN: token,
  RETORT_RUN_TOKEN: "",
  RETORT_READ_TOKEN: "",
  RETORT_TENANTS: "",
  RETORT_TLS_CERT: "",
  RETORT_TLS_KEY: "",
  RETORT_TLS_CA: "",
  RETORT_CHECK_ONLY: "",
});

/** NATS and a controller on this machine. */
export interface LocalService {
  readonly address: string;
  /** URL of the live page. */
  readonly page: string;
  readonly nats: string;
  /** Directory with the passwords of its users, where this process started it. */
  readonly natsLogins: string | undefined;
  /** Settles when one of the two has ended too often to be started again. */
  readonly ended: Promise<RetortError>;
  stop(): Promise<void>;
}

/**
 * Starts NATS (unless RETORT_NATS_URL names one) and the controller, and starts each again when it ends; both write under
 * the data directory, which this process alone uses. A signal to this process ends both in order.
 *
 * @throws FailedPrecondition if the directory is not ours, or in use
 */
export async function startLocal({ kind = "data", force, ...options }: LocalOptions): Promise<LocalService> {
  const ours = kind === "demo" ? {} : { also: ["demo"] as const, unmarked: [controllerPid, "nats"] };
  const dataDir = await ownDirectory(options.dataDir, kind, { force, ...ours });
  const lock = await lockDirectory(dataDir);
  const parts: Supervised[] = [];
  const stopping = new AbortController();
  let starting: Promise<unknown> = Promise.resolve();
  let stopped: Promise<void> | undefined;
  const stopAll = async () => {
    stopping.abort();
    // What it has started by then is among the parts.
    await starting.catch(() => {});
    for (const part of [...parts].reverse()) await part.stop();
    await lock.release();
    free();
  };
  const stop = () => (stopped ??= stopAll());
  const kill = () => {
    stopping.abort();
    for (const part of parts) part.kill();
  };
  const free = supervisor.add({ stop, kill });
  try {
    const begun = startParts({ ...options, dataDir }, parts, stopping.signal);
    starting = begun;
    return { ...(await begun), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * Starts NATS, unless there is one, and the controller.
 *
 * @param parts is given what runs, as soon as it does
 * @param signal gives the start up, and ends what is being started
 */
async function startParts(
  { dataDir, port, httpPort = 0, natsPort, progress, token, tenants }: LocalOptions,
  parts: Supervised[],
  signal: AbortSignal,
): Promise<Omit<LocalService, "stop">> {
  const kept = (name: string) => {
    const wayOut = `${name} ended; the disk of ${dataDir} is full: make room, and everything goes on`;
    const ready = (stopped: AbortSignal) => waitForSpace(dataDir, stopped, () => progress(wayOut));
    return { name, say: progress, ready, signal };
  };
  await endController(dataDir, progress);
  let nats: KeptRunning<NatsPart> | undefined;
  if (!process.env.RETORT_NATS_URL) {
    const [binary, directory] = [await findNatsServer(progress, process.env, signal), join(dataDir, "nats")];
    const begin = (last?: NatsPart) => startNatsPart({ binary, directory, port: last ? portOf(last.server.url) : natsPort, say: progress });
    nats = await KeptRunning.start({ ...kept("nats-server"), begin });
    parts.push(nats);
  }
  const url = process.env.RETORT_NATS_URL || found(nats, "nats-server").current.server.url;
  const begin = (last: ControllerPart | undefined, stopped: AbortSignal) => {
    const ports = { port: last?.port ?? port, httpPort: last?.httpPort ?? httpPort };
    return startController({ ...ports, dataDir, url, token, tenants, nats: nats?.current.server, signal: stopped }, !last);
  };
  const controller = await KeptRunning.start({ ...kept("the controller"), begin });
  parts.push(controller);
  const address = `127.0.0.1:${controller.current.port}`;
  await writeFile(join(dataDir, "address"), `${address}\n`);
  const ended = Promise.race([controller.failed, ...(nats ? [nats.failed] : [])]);
  const page = `${token === undefined && process.env.RETORT_TLS_CERT ? "https" : "http"}://localhost:${controller.current.httpPort}`;
  return { address, page, nats: url, natsLogins: nats?.current.server.logins, ended };
}

/** @throws Cancelled once the start has been given up */
function checkGoesOn({ aborted }: AbortSignal): void {
  if (aborted) throw new RetortError("Cancelled", "stopped before it had started");
}

const portOf = (url: string): number => Number(new URL(url).port);

/** A controller that can be kept running. */
interface ControllerPart extends Part {
  readonly port: number;
  readonly httpPort: number;
}

interface ControllerOptions {
  readonly dataDir: string;
  readonly url: string;
  readonly port: number;
  readonly httpPort: number;
  readonly nats: NatsServer | undefined;
  /** Ends it while it starts. */
  readonly signal: AbortSignal;
  readonly token: string | undefined;
  readonly tenants: string | undefined;
}

/** In place of what the environment says of another NATS than the one that is started here. */
const ownNats = {
  RETORT_NATS_CREDENTIALS: "",
  RETORT_NATS_REPLICAS: "",
  RETORT_NATS_TLS_CA: "",
  RETORT_NATS_TLS_CERT: "",
  RETORT_NATS_TLS_KEY: "",
};

/** Starts a controller and waits until it serves. */
async function startController(options: ControllerOptions, first: boolean): Promise<ControllerPart> {
  const { dataDir, url, port, httpPort, nats, signal, token, tenants } = options;
  checkGoesOn(signal);
  const log = join(dataDir, "controller.log");
  const shared = [...(tenants ? ["--tenants", tenants] : []), ...(nats ? machineFlags() : [])];
  const argv = ["--data-dir", dataDir, "--port", String(port), "--http-port", String(httpPort), "--log-format", "json", ...shared];
  const logins = nats?.logins ? { RETORT_NATS_LOGINS: nats.logins } : {};
  const env = { ...(nats ? ownNats : {}), RETORT_NATS_URL: url, ...logins, ...(token === undefined ? {} : privateEnvironment(token)) };
  // When this process is killed, NATS goes on until the controller has stopped, too: its runs still write to it.
  const child = spawnRole("controller", argv, log, { append: !first, lifeline: nats?.process.stdin ?? undefined, env });
  let ending: Promise<void> | undefined;
  const giveUp = () => {
    ending = end(child, 30_000);
  };
  signal.addEventListener("abort", giveUp);
  const serving = whenServing(child, { log, timeoutMs: longestStartMs });
  // It may fail while the id is written.
  serving.catch(() => {});
  await writeFile(join(dataDir, controllerPid), `${child.pid}\n`);
  const ended = once(child, "exit").then(
    async ([code, signal]) => `${signal ?? `code ${code}`}: ${(await lastErrorIn(log)) ?? `see ${log}`}`,
  );
  try {
    const { grpcPort, httpPort: taken = 0 } = await serving;
    checkGoesOn(signal);
    return { port: grpcPort, httpPort: taken, ended, stop: () => end(child, 30_000), kill: () => child.kill("SIGKILL") };
  } catch (error) {
    if (ending) await ending;
    else child.kill("SIGKILL");
    throw new RetortError("FailedPrecondition", `the controller does not serve: ${RetortError.from(error).message}`, { cause: error });
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** Whether all processes of the runs are on this machine and have weights in their data directory. */
function machineFlags(): string[] {
  const { RETORT_WEIGHT_STORE: store = "", RETORT_ONE_MACHINE: chosen } = process.env;
  return chosen === undefined && ["", "directory"].includes(store) ? ["--one-machine=true"] : [];
}

/** How long a process may take to serve. */
export const longestStartMs = 60_000;

const controllerPid = "controller.pid";

/** Ends a controller that an earlier process has left running; it saves its runs' checkpoints. */
async function endController(dataDir: string, progress: LocalOptions["progress"]): Promise<void> {
  const pid = Number(await readFile(join(dataDir, controllerPid), "utf8").catch(() => "0"));
  if (pid > 0 && (await endLeftover(pid, [dataDir, "--role=controller"], 30_000)))
    progress(`ended the controller (process ${pid}), which an earlier one had left behind`);
}

/** Where a role's output goes. */
export interface SpawnOptions {
  /** Keep what the log has. */
  readonly append?: boolean;
  /** A pipe that the role holds open as long as it lives. */
  readonly lifeline?: Writable;
  /** Added to this process's environment: for what every user of the machine would see on the command line. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Starts a role as a child of this process, with which it ends; its output goes to a file, or to this terminal without one.
 * `whenServing(child)` says where it serves. It is in a process group of its own: Ctrl-C would else reach it twice, from the
 * terminal and from here, and a role takes the second for impatience.
 */
export function spawnRole(
  role: string,
  argv: readonly string[],
  log?: string,
  { append = false, lifeline, env = {} }: SpawnOptions = {},
): ChildProcess {
  const output = log ? openSync(log, append ? "a" : "w") : "inherit";
  supervisor.watch();
  const child = spawn(process.execPath, [mainProgram, `--role=${role}`, "--exit-with-parent=true", ...argv], {
    stdio: ["pipe", output, output, "ipc", ...(lifeline ? [lifeline] : [])],
    env: { ...process.env, ...allocatorEnvironment(process.env), ...env },
    detached: true,
  });
  if (typeof output === "number") closeSync(output);
  return child;
}

/** Ends a child: politely, then not. */
export async function end(child: ChildProcess, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await exited;
  clearTimeout(late);
}
