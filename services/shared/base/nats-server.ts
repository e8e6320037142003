import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { RetortError } from "./errors.js";
import { type NatsUsers, natsUsers } from "./nats-users.js";

/** The nats-server that is built when none is found. Go checks it against its checksum database. */
const version = "v2.12.15";

/** The oldest that has all we use. */
const oldest = [2, 10] as const;

const startTimeoutMs = 20_000;

/** Largest message; NATS recommends no more. */
const maxPayloadBytes = 8 * 1024 * 1024;

const run = promisify(execFile);

/**
 * Finds a nats-server binary: on the PATH, or one built earlier into the cache, or built now with Go.
 *
 * @param progress called with a sentence when something takes long
 * @param env the environment: PATH, XDG_CACHE_HOME
 * @throws FailedPrecondition with the ways to get one
 */
export async function findNatsServer(progress: (sentence: string) => void, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const cache = join(env.XDG_CACHE_HOME || join(env.HOME ?? homedir(), ".cache"), "retort", `nats-server-${version}`);
  const cached = join(cache, "nats-server");
  for (const candidate of ["nats-server", cached]) {
    const found = await versionOf(candidate, env);
    if (found !== undefined && isRecent(found)) return candidate;
    if (found !== undefined) progress(`the nats-server on the PATH is ${found}; Retort needs ${oldest.join(".")} or newer`);
  }
  const hasGo = await run("go", ["version"], { env }).catch(() => undefined);
  if (!hasGo) throw unavailable("neither a recent nats-server nor Go is on the PATH");
  progress(`building nats-server ${version} with Go (once, about a minute) …`);
  // An empty GOFLAGS: the user's own must not change what is built.
  await run("go", ["install", `github.com/nats-io/nats-server/v2@${version}`], { env: { ...env, GOBIN: cache, GOFLAGS: "" } }).catch(
    (error: Error) => {
      throw unavailable(`building it with Go failed: ${error.message.trim().split("\n").slice(-3).join(" ")}`);
    },
  );
  return cached;
}

/** The version that a binary says it is, like 2.12.1; undefined if it does not run. */
async function versionOf(binary: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const answer = await run(binary, ["--version"], { env }).catch(() => undefined);
  return /v(\d+\.\d+\.\d+)/.exec(answer?.stdout ?? "")?.[1];
}

function isRecent(found: string): boolean {
  const [major = 0, minor = 0] = found.split(".").map(Number);
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

const unavailable = (why: string): RetortError =>
  new RetortError(
    "FailedPrecondition",
    `NATS is needed and ${why}. Install nats-server (a package of most systems), or Go, or set RETORT_NATS_URL to a running server with JetStream`,
  );

/** A nats-server that this process started. */
export interface NatsServer {
  readonly url: string;
  /** Directory with its users' passwords, where it has users. */
  readonly logins: string | undefined;
  readonly process: ChildProcess;
  /** Settles with the reason when the server has ended, asked or not. */
  readonly exited: Promise<string>;
  stop(): Promise<void>;
}

export interface NatsServerOptions {
  readonly binary: string;
  /** Directory for JetStream's files, the configuration and the log. */
  readonly directory: string;
  /** 0 or -1 takes a free port. */
  readonly port: number;
  readonly host?: string;
  /** Give it a process group of its own, which Ctrl-C in a terminal does not reach: whoever started it ends it. */
  readonly ownGroup?: boolean;
  /** Who is let in, each with a password that is made for it; without it, everyone. */
  readonly users?: NatsUsers;
  /** Most that JetStream keeps on the disk. Default: the server's, three quarters of what is free. */
  readonly storageBytes?: number;
}

/** Starts a nats-server with JetStream in a directory and waits until it answers. */
export async function startNatsServer({
  binary,
  directory,
  port,
  host = "127.0.0.1",
  storageBytes,
  users,
  ownGroup = false,
}: NatsServerOptions): Promise<NatsServer> {
  await mkdir(directory, { recursive: true });
  const ports = join(directory, "ports");
  await rm(ports, { recursive: true, force: true });
  await mkdir(ports, { recursive: true });
  const config = join(directory, "nats.conf");
  const log = join(directory, "nats.log");
  const own = users && (await natsUsers(directory, users));
  await writeFile(
    config,
    [
      `host: ${host}`,
      `port: ${port || -1}`,
      `max_payload: ${maxPayloadBytes}`,
      `ports_file_dir: ${JSON.stringify(ports)}`,
      `log_file: ${JSON.stringify(log)}`,
      `jetstream { store_dir: ${JSON.stringify(join(directory, "jetstream"))}${storageBytes ? `, max_file_store: ${storageBytes}` : ""} }`,
      ...(own ? [own.config] : []),
      "",
    ].join("\n"),
  );
  // A reason found in the log must be this start's.
  await rm(log, { force: true });
  const child = spawn(binary, ["-c", config], { stdio: "ignore", detached: ownGroup });
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const gone = new AbortController();
  exited.then(() => gone.abort());
  const url = await Promise.race([
    readPort(join(ports, `${basename(binary)}_${child.pid}.ports`), gone.signal),
    exited.then(async (reason) => {
      throw notStarted(`${host}:${port}`, /\[FTL\] (.*)/.exec(await readFile(log, "utf8").catch(() => ""))?.[1] ?? reason);
    }),
  ]).catch((error: unknown) => {
    child.kill("SIGKILL");
    throw error;
  });
  return { url, logins: own?.logins, process: child, exited, stop: () => stop(child, exited) };
}

const notStarted = (address: string, reason: string): RetortError =>
  new RetortError(
    "FailedPrecondition",
    `nats-server on ${address} did not start: ${reason}; choose another port (--nats-port) or set RETORT_NATS_URL to the server that is running`,
  );

async function stop(child: ChildProcess, exited: Promise<string>): Promise<void> {
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 5000);
  await exited;
  clearTimeout(late);
}

/** Waits for the file in which the server says where it listens. */
async function readPort(file: string, gone: AbortSignal): Promise<string> {
  for (const started = Date.now(); Date.now() - started < startTimeoutMs && !gone.aborted; await sleep(25)) {
    // Not there yet, or half written.
    const url = await readFile(file, "utf8")
      .then(
        (text) => (JSON.parse(text) as { nats: string[] }).nats[0],
        () => undefined,
      )
      .catch(() => undefined);
    if (url) return url;
  }
  // Whoever saw it go says why.
  if (gone.aborted) return new Promise(() => {});
  throw new RetortError("DeadlineExceeded", `nats-server did not say within ${startTimeoutMs} ms which port it listens on`);
}
