import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cacheDirectory } from "./cache-directory.js";
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

/** What there is of nats-server on a machine. */
export interface NatsThere {
  /** One that is recent enough, and its version. */
  readonly found?: { readonly binary: string; readonly version: string };
  /** Versions that are too old. */
  readonly old: readonly string[];
  /** Whether one could be built. */
  readonly hasGo: boolean;
}

/** Looks for a nats-server: on the PATH, or one built earlier into the cache. @param env PATH, XDG_CACHE_HOME */
export async function lookForNats(env: NodeJS.ProcessEnv = process.env): Promise<NatsThere> {
  const old: string[] = [];
  const hasGo = (await run("go", ["version"], { env }).catch(() => undefined)) !== undefined;
  for (const binary of ["nats-server", join(buildDirectory(env), "nats-server")]) {
    const found = await versionOf(binary, env);
    if (found !== undefined && isRecent(found)) return { found: { binary, version: found }, old, hasGo };
    if (found !== undefined) old.push(found);
  }
  return { old, hasGo };
}

/** Where one is built. */
const buildDirectory = (env: NodeJS.ProcessEnv): string => join(cacheDirectory(env), `nats-server-${version}`);

/**
 * Finds a nats-server binary, as {@link lookForNats} does, or builds one with Go now.
 *
 * @param progress called with a sentence when something takes long
 * @param env the environment: PATH, XDG_CACHE_HOME
 * @param signal ends what builds it
 * @throws FailedPrecondition with the ways to get one
 */
export async function findNatsServer(
  progress: (sentence: string) => void,
  env: NodeJS.ProcessEnv = process.env,
  signal?: AbortSignal,
): Promise<string> {
  const { found, old, hasGo } = await lookForNats(env);
  for (const one of old) progress(`the nats-server on the PATH is ${one}; Retort needs ${oldest.join(".")} or newer`);
  if (found) return found.binary;
  if (!hasGo) throw natsUnavailable("neither a recent nats-server nor Go is on the PATH");
  progress(`building nats-server ${version} with Go (once, about a minute) …`);
  const directory = buildDirectory(env);
  // An empty GOFLAGS: the user's own must not change what is built.
  const options = { env: { ...env, GOBIN: directory, GOFLAGS: "" }, ...(signal && { signal }) };
  await run("go", ["install", `github.com/nats-io/nats-server/v2@${version}`], options).catch((error: Error) => {
    throw natsUnavailable(`building it with Go failed: ${error.message.trim().split("\n").slice(-3).join(" ")}`);
  });
  return join(directory, "nats-server");
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

/** That there is no NATS, with the ways to get one. */
export const natsUnavailable = (why: string): RetortError =>
  new RetortError(
    "FailedPrecondition",
    `NATS is needed and ${why}. Install nats-server (a package of most systems), or Go, or set RETORT_NATS_URL to a running server with JetStream`,
  );

/** A nats-server that this process started. */
export interface NatsServer {
  readonly url: string;
  /** Directory with its users' passwords, where it has users. */
  readonly logins: string | undefined;
  /** nats-server itself, or its keeper. */
  readonly process: ChildProcess;
  /** Process id of nats-server itself. */
  readonly pid: number;
  /** Settles with the reason when the server has ended, asked or not. */
  readonly exited: Promise<string>;
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): void;
}

/** What a nats-server of our own is started with. */
export interface NatsServerOptions {
  readonly binary: string;
  /** Directory for JetStream's files, the configuration and the log. */
  readonly directory: string;
  /** 0 or -1 takes a free port. */
  readonly port: number;
  readonly host?: string;
  /**
   * Start it in a process group of its own, which Ctrl-C in a terminal does not reach, below a keeper that ends it when
   * this process, and every other that was handed `process.stdin`, is gone.
   */
  readonly kept?: boolean;
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
  kept = false,
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
  await rename(log, join(directory, "nats.previous.log")).catch(() => {});
  const child = kept
    ? spawn(process.execPath, [keeper, binary, "-c", config], { stdio: ["pipe", "ignore", "ignore"], detached: true })
    : spawn(binary, ["-c", config], { stdio: "ignore" });
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const gone = new AbortController();
  exited.then(() => gone.abort());
  const { url, pid } = await Promise.race([
    readPort(ports, gone.signal),
    exited.then(async (reason) => {
      throw notStarted(`${host}:${port}`, /\[FTL\] (.*)/.exec(await readFile(log, "utf8").catch(() => ""))?.[1] ?? reason);
    }),
  ]).catch((error: unknown) => {
    // A keeper ends its server when its pipe closes.
    if (kept) child.stdin?.destroy();
    else child.kill("SIGKILL");
    throw error;
  });
  return { url, logins: own?.logins, process: child, pid, exited, stop: () => stop(child, exited), kill: () => killServer(child, pid) };
}

const keeper = fileURLToPath(new URL("./nats-keeper.js", import.meta.url));

/** The server itself: a keeper that is killed would leave it, and ends with it. */
function killServer(child: ChildProcess, pid: number): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It was gone before.
    child.kill("SIGKILL");
  }
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

/** Waits for the file in which the server says where it listens; the file's name has its process id. */
async function readPort(directory: string, gone: AbortSignal): Promise<{ url: string; pid: number }> {
  for (const started = Date.now(); Date.now() - started < startTimeoutMs && !gone.aborted; await sleep(25)) {
    const name = (await readdir(directory).catch(() => [])).find((one) => portsFile.test(one));
    // Not there yet, or half written.
    const url =
      name &&
      (await readFile(join(directory, name), "utf8")
        .then((text) => (JSON.parse(text) as { nats: string[] }).nats[0])
        .catch(() => undefined));
    if (url) return { url, pid: Number(portsFile.exec(name)?.[1]) };
  }
  // The caller that saw it end says why.
  if (gone.aborted) return new Promise(() => {});
  throw new RetortError("DeadlineExceeded", `nats-server did not say within ${startTimeoutMs} ms which port it listens on`);
}

const portsFile = /_(\d+)\.ports$/;

/** Process ids of the servers that were started in a directory and have not said that they ended. */
export async function startedServers(directory: string): Promise<number[]> {
  const names = await readdir(join(directory, "ports")).catch(() => []);
  return names.map((name) => Number(portsFile.exec(name)?.[1])).filter((pid) => pid > 0);
}
