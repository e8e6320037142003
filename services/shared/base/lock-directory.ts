import { createHash, randomUUID } from "node:crypto";
import { link, rename, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RetortError } from "./errors.js";

/** A directory that this process alone uses, until it ends or gives it up. */
export interface DirectoryLock {
  release(): Promise<void>;
}

/** What the system takes as a socket's path, with room for a suffix. */
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

async function lockAt(path: string, directory: string): Promise<DirectoryLock> {
  for (let tries = 0; tries < 5; tries++) {
    const server = await listen(path);
    if (server) return { release: () => new Promise<void>((done) => server.close(() => done())) };
    const owner = await ownerAt(path);
    if (owner !== undefined) throw inUse(directory, owner);
    await putAside(path, directory);
  }
  throw inUse(directory, "another");
}

const inUse = (directory: string, owner: string): RetortError =>
  new RetortError("FailedPrecondition", `process ${owner} uses ${directory} already; stop it, or give another --data-dir`);

/** Removes a socket that no process listens on. It is moved first: another process may have taken the place meanwhile. */
async function putAside(path: string, directory: string): Promise<void> {
  const aside = `${path}.${randomUUID().slice(0, 8)}`;
  if (
    !(await rename(path, aside).then(
      () => true,
      () => false,
    ))
  )
    return;
  const owner = await ownerAt(aside);
  // It stays where its clients look for it.
  if (owner !== undefined) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
  if (owner !== undefined) throw inUse(directory, owner);
}

/** A server whose every client is told this process's id; undefined if the path is taken. */
function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((client) => client.on("error", () => {}).end(String(process.pid)));
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)));
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Process id of who listens at a path, or what is known of it; undefined if none does. */
function ownerAt(path: string): Promise<string | undefined> {
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
    client.on("close", () => resolve(connected ? said || "another" : undefined));
  });
}
