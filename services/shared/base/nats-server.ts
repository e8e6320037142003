import { type ChildProcess, execFile, spawn } from "node:child_process";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { RetortError } from "./errors.js";

/** The nats-server that is built when none is found. */
const version = "v2.12.1";

/** Largest message; NATS recommends no more. */
const maxPayloadBytes = 8 * 1024 * 1024;

/**
 * Finds a nats-server binary: on the PATH, or one built earlier into the cache, or built now with Go.
 *
 * @param progress called with a sentence when something takes long
 * @throws FailedPrecondition with the ways to get one
 */
export async function findNatsServer(progress: (sentence: string) => void): Promise<string> {
  const run = promisify(execFile);
  const works = (path: string) =>
    run(path, ["--version"]).then(
      () => true,
      () => false,
    );
  if (await works("nats-server")) return "nats-server";
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "retort", `nats-server-${version}`);
  const cached = join(cache, "nats-server");
  if (await works(cached)) return cached;
  if (
    await run("go", ["version"]).then(
      () => true,
      () => false,
    )
  ) {
    progress(`building nats-server ${version} with Go (once, about a minute) …`);
    await run("go", ["install", `github.com/nats-io/nats-server/v2@${version}`], {
      env: { ...process.env, GOBIN: cache, GOFLAGS: "" },
    }).catch((error: Error) => {
      throw unavailable(`building it with Go failed: ${error.message.split("\n").slice(-3).join(" ")}`);
    });
    return cached;
  }
  throw unavailable("neither nats-server nor Go is on the PATH");
}

const unavailable = (why: string): RetortError =>
  new RetortError(
    "FailedPrecondition",
    `NATS is needed and ${why}. Install nats-server (a package of most systems), or Go, or set RETORT_NATS_URL to a running server with JetStream`,
  );

/** A nats-server that this process started. */
export interface NatsServer {
  readonly url: string;
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
}

/** Starts a nats-server with JetStream in a directory and waits until it answers. */
export async function startNatsServer({ binary, directory, port, host = "127.0.0.1" }: NatsServerOptions): Promise<NatsServer> {
  await mkdir(directory, { recursive: true });
  const ports = join(directory, "ports");
  await rm(ports, { recursive: true, force: true });
  await mkdir(ports, { recursive: true });
  const config = join(directory, "nats.conf");
  const log = join(directory, "nats.log");
  await writeFile(
    config,
    [
      `host: ${host}`,
      `port: ${port || -1}`,
      `max_payload: ${maxPayloadBytes}`,
      `ports_file_dir: ${JSON.stringify(ports)}`,
      `log_file: ${JSON.stringify(log)}`,
      `jetstream { store_dir: ${JSON.stringify(join(directory, "jetstream"))} }`,
      "",
    ].join("\n"),
  );
  // A reason found in the log must be this start's.
  await rm(log, { force: true });
  const child = spawn(binary, ["-c", config], { stdio: "ignore" });
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const url = await Promise.race([
    readPort(join(ports, `${basename(binary)}_${child.pid}.ports`)),
    exited.then(async (reason) => {
      throw notStarted(`${host}:${port}`, /\[FTL\] (.*)/.exec(await readFile(log, "utf8").catch(() => ""))?.[1] ?? reason);
    }),
  ]).catch((error: unknown) => {
    child.kill("SIGKILL");
    throw error;
  });
  return { url, process: child, exited, stop: () => stop(child, exited) };
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

async function readPort(file: string): Promise<string> {
  for (const started = Date.now(); Date.now() - started < 20_000; await sleep(25)) {
    if (
      !(await access(file).then(
        () => true,
        () => false,
      ))
    )
      continue;
    const { nats } = JSON.parse(await readFile(file, "utf8")) as { nats: string[] };
    if (nats[0]) return nats[0];
  }
  throw new RetortError("DeadlineExceeded", "nats-server did not say within 20 s which port it listens on");
}
