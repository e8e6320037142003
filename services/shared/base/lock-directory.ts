import { createHash } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { RetortError } from "./errors.js";

/** A directory that this process alone uses, until it ends or gives it up. */
export interface DirectoryLock {
  release(): Promise<void>;
}

/** What the system takes as a socket's path, with room for a number behind it. */
const longestPath = 90;

/**
 * Locks a directory by listening on a socket in it, which the system closes when the process ends, however that went:
 * what a dead process has left blocks none, nor does its process id in another program's hands.
 *
 * @throws FailedPrecondition naming the process that uses it
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const inside = join(directory, "lock");
  const elsewhere = join(tmpdir(), `retort-${createHash("sha256").update(directory).digest("hex").slice(0, 24)}.lock`);
  if (Buffer.byteLength(inside) > longestPath) return lockAt(elsewhere, directory);
  return lockAt(inside, directory).catch((error: NodeJS.ErrnoException) => {
    // Some file systems have no sockets.
    if (error instanceof RetortError) throw error;
    return lockAt(elsewhere, directory);
  });
}

/**
 * A dead socket is never removed to take its place, since another process may have taken that meanwhile: who comes next
 * listens under the next number, which one alone can do. Each looks at all others once it listens itself, so that of two the
 * later one sees the earlier, and says whether it is still looking ("claiming") or has the directory.
 */
async function lockAt(path: string, directory: string): Promise<DirectoryLock> {
  for (let tries = 0; tries < 50; tries++) {
    const before = await socketsOf(path);
    const owner = (await Promise.all(before.map(ownerOf))).find((one) => one?.settled);
    if (owner) throw inUse(directory, owner.process);
    const mine = await listen(path, Math.max(-1, ...before.map(({ number }) => number)) + 1);
    if (!mine) continue;
    const rival = await settle(path, mine);
    if (rival === undefined) return { release: mine.close };
    await mine.close();
    if (rival.settled) throw inUse(directory, rival.process);
    await delay(5 + 20 * Math.random());
  }
  throw inUse(directory, "another");
}

/** Waits until no other has the directory or a better claim, which a lower number is; gives the one who has, else undefined. */
async function settle(path: string, mine: Claim): Promise<Owner | undefined> {
  for (;;) {
    const others = (await socketsOf(path)).filter(({ number }) => number !== mine.number);
    const owners = await Promise.all(others.map(async (socket) => ({ socket, owner: await ownerOf(socket) })));
    const alive = owners.filter(({ owner }) => owner !== undefined);
    const better = alive.find(({ socket, owner }) => owner?.settled || socket.number < mine.number);
    if (better) return better.owner;
    if (alive.length > 0) {
      // They will see this one, which is before them, and give up.
      await delay(5);
      continue;
    }
    mine.settled();
    // What is left of the dead goes: their numbers are behind, and who still means to take one finds this process then.
    await Promise.all(others.filter(({ number }) => number < mine.number).map((dead) => rm(dead.path, { force: true })));
    return undefined;
  }
}

const inUse = (directory: string, owner: string): RetortError =>
  new RetortError("FailedPrecondition", `process ${owner} uses ${directory} already; stop it, or give another --data-dir`);

/** A socket of the lock: PATH, PATH.1, PATH.2, … */
interface Socket {
  readonly number: number;
  readonly path: string;
}

const socketAt = (path: string, number: number): Socket => ({ number, path: number === 0 ? path : `${path}.${number}` });

async function socketsOf(path: string): Promise<Socket[]> {
  const name = basename(path);
  const beside = await readdir(dirname(path));
  return beside.flatMap((one) => {
    const suffix = one === name ? "0" : one.startsWith(`${name}.`) ? one.slice(name.length + 1) : "";
    return /^\d{1,9}$/.test(suffix) ? [socketAt(path, Number(suffix))] : [];
  });
}

/** A process that listens on a socket of the lock. */
interface Claim {
  readonly number: number;
  /** Says from now on that the directory is this process's. */
  readonly settled: () => void;
  readonly close: () => Promise<void>;
}

/** Listens under a number; every client is told this process's id. Undefined if the number is taken. */
function listen(path: string, number: number): Promise<Claim | undefined> {
  return new Promise((resolve, reject) => {
    let claim = " claiming";
    const server = createServer((client) => client.on("error", () => {}).end(`${process.pid}${claim}`));
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)));
    server.listen(socketAt(path, number).path, () => {
      server.unref();
      resolve({
        number,
        settled: () => {
          claim = "";
        },
        close: () => new Promise<void>((done) => server.close(() => done())),
      });
    });
  });
}

/** Who listens on a socket of the lock. */
interface Owner {
  /** Its id, or what is known of it. */
  readonly process: string;
  readonly settled: boolean;
}

/** Who listens on a socket; undefined if no process does. */
function ownerOf({ path }: Socket): Promise<Owner | undefined> {
  return new Promise((resolve) => {
    let said = "";
    let connected = false;
    const client = connect(path);
    client.setTimeout(1000, () => client.destroy());
    client.on("connect", () => {
      connected = true;
    });
    client.on("data", (text) => {
      said += text;
    });
    client.on("error", () => {});
    client.on("close", () => {
      const [process = "another", claim] = (said || "another").split(" ");
      resolve(connected ? { process, settled: claim !== "claiming" } : undefined);
    });
  });
}
