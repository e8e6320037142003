import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { RetortError } from "../shared/base/errors.js";
import { findNatsServer, type NatsServer, startNatsServer } from "../shared/base/nats-server.js";
import { endLeftover } from "../shared/base/processes.js";
import { type Client, type ClientOptions, createClient } from "../shared/base/rpc/client.js";
import { natsPermissions } from "../shared/flow/nats-permissions.js";
import { ControllerService } from "../shared/gen/retort/v1/controller_pb.js";

/** The program of all roles. */
export const mainProgram = fileURLToPath(new URL("../main.js", import.meta.url));

export type ControllerClient = Client<typeof ControllerService>;

export const connectController = (address: string, access: Pick<ClientOptions, "token" | "tls"> = {}): ControllerClient =>
  createClient(ControllerService, address, { timeoutMs: 60_000, maxMessageBytes: 64 * 1024 * 1024, ...access });

export interface LocalOptions {
  readonly dataDir: string;
  /** gRPC port of the controller; 0 takes a free one. */
  readonly port: number;
  /** Port of nats-server; 0 takes a free one. */
  readonly natsPort: number;
  readonly progress: (sentence: string) => void;
}

/** NATS and a controller on this machine. */
export interface LocalService {
  readonly address: string;
  readonly nats: string;
  /** Directory with the passwords of its users, where this process started it. */
  readonly natsLogins: string | undefined;
  /** Settles when one of the two has ended by itself. */
  readonly ended: Promise<RetortError>;
  stop(): Promise<void>;
}

/** Starts NATS (unless RETORT_NATS_URL names one) and the controller; both write under the data directory. */
export async function startLocal({ dataDir, port, natsPort, progress }: LocalOptions): Promise<LocalService> {
  await mkdir(dataDir, { recursive: true });
  await claim(dataDir);
  await endLeftovers(dataDir, progress);
  let nats: NatsServer | undefined;
  let url = process.env.RETORT_NATS_URL;
  if (!url) {
    const binary = await findNatsServer(progress);
    // The controller and its runs still write to it when they stop.
    nats = await startNatsServer({ binary, directory: join(dataDir, "nats"), port: natsPort, ownGroup: true, users: natsPermissions });
    url = nats.url;
  }
  const log = join(dataDir, "controller.log");
  const child = spawnRole("controller", ["--data-dir", dataDir, "--port", String(port), "--log-format", "json"], log, {
    // Not on the command line, which every user of the machine sees.
    RETORT_NATS_URL: url,
    ...(nats ? { RETORT_NATS_LOGINS: nats.logins } : {}),
  });
  await writeFile(join(dataDir, controllerPid), `${child.pid}\n`);
  const exited = once(child, "exit").then(
    async ([code]) => new RetortError("FailedPrecondition", `the controller ended (code ${code}): ${await lastMessage(log)}`),
  );
  try {
    const bound = await Promise.race([boundPort(log, child.pid!), exited]);
    if (bound instanceof RetortError) throw bound;
    const address = `127.0.0.1:${bound}`;
    await writeFile(join(dataDir, "address"), `${address}\n`);
    const stop = async () => {
      await end(child, 30_000);
      await nats?.stop();
    };
    return { address, nats: url, natsLogins: nats?.logins, ended: Promise.race([exited, natsEnded(nats, dataDir)]), stop };
  } catch (error) {
    child.kill("SIGKILL");
    await nats?.stop();
    throw error;
  }
}

/** Settles when a nats-server of ours has ended; never for one that is not ours. */
async function natsEnded(nats: NatsServer | undefined, dataDir: string): Promise<RetortError> {
  const reason = await (nats?.exited ?? new Promise<never>(() => {}));
  return new RetortError(
    "FailedPrecondition",
    `nats-server ended (${reason}); see ${join(dataDir, "nats", "nats.log")}, then start \`retort up\` again`,
  );
}

/** Refuses a data directory that another live process of ours uses. */
async function claim(dataDir: string): Promise<void> {
  const file = join(dataDir, "pid");
  const owner = Number(await readFile(file, "utf8").catch(() => "0"));
  if (owner && owner !== process.pid && isAlive(owner)) {
    throw new RetortError("FailedPrecondition", `process ${owner} uses ${dataDir} already; stop it, or give another --data-dir`);
  }
  await writeFile(file, `${process.pid}\n`);
}

const controllerPid = "controller.pid";

/**
 * Ends what a `retort up` that was killed has left running: the controller first, which saves its runs' checkpoints, then
 * the nats-server, since two on the same files would ruin them.
 */
async function endLeftovers(dataDir: string, progress: LocalOptions["progress"]): Promise<void> {
  const controller = Number(await readFile(join(dataDir, controllerPid), "utf8").catch(() => "0"));
  const ports = await readdir(join(dataDir, "nats", "ports")).catch(() => []);
  const servers = ports.map((name) => Number(/_(\d+)\.ports$/.exec(name)?.[1]));
  for (const pid of [controller, ...servers])
    if (pid && (await endLeftover(pid, dataDir, 30_000))) progress(`ended process ${pid}, which an earlier \`retort up\` had left behind`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Starts a role as a child of this process; its output goes to a file, or to this terminal without one. */
export function spawnRole(role: string, argv: readonly string[], log?: string, env: NodeJS.ProcessEnv = {}): ChildProcess {
  const output = log ? openSync(log, "w") : "inherit";
  return spawn(process.execPath, [mainProgram, `--role=${role}`, "--exit-with-parent=true", ...argv], {
    stdio: ["ignore", output, output],
    env: { ...process.env, ...env },
    detached: log !== undefined,
  });
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

/** The gRPC port that a role's log tells of. */
export async function boundPort(log: string, pid: number, timeoutMs = 60_000): Promise<number> {
  for (const started = Date.now(); Date.now() - started < timeoutMs; await sleep(30)) {
    for (const line of await logLines(log)) if (line.pid === pid && typeof line.grpcPort === "number") return line.grpcPort;
  }
  throw new RetortError("DeadlineExceeded", `process ${pid} did not serve within ${timeoutMs} ms; see ${log}`);
}

/** The last error that a role's log tells of. */
export async function lastMessage(log: string): Promise<string> {
  const lines = await logLines(log);
  return String(lines.reverse().find(({ level }) => Number(level) >= 50)?.msg ?? `see ${log}`);
}

async function logLines(log: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(log, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      return [];
    }
  });
}
