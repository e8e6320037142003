import { createHash } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { isAlive } from "../shared/base/processes.js";

const entrySchema = z.object({
  /** host:port of its gRPC edge, and URL of its live page. */
  address: z.string(),
  page: z.string(),
  /** Directory of its state, absolute. */
  dataDir: z.string(),
  /** The process of `retort up`. */
  pid: z.int().positive(),
});

/** A controller that `retort up` runs for this user. It holds no secret: callers bring their own token. */
export type KnownController = z.infer<typeof entrySchema>;

/** Where this user's controllers are noted: a directory that no other user reads. @param env XDG_RUNTIME_DIR, XDG_STATE_HOME, HOME */
export function controllersDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env.XDG_RUNTIME_DIR) return join(env.XDG_RUNTIME_DIR, "retort");
  return join(env.XDG_STATE_HOME || join(env.HOME ?? homedir(), ".local", "state"), "retort", "controllers");
}

/** Notes a controller, so that commands in other directories find it. Returns what takes the note away. */
export async function noteController(controller: KnownController, directory = controllersDirectory()): Promise<() => void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `${createHash("sha256").update(controller.dataDir).digest("hex").slice(0, 16)}.json`);
  const part = `${path}.${process.pid}`;
  await writeFile(part, JSON.stringify(controller), { mode: 0o600 });
  await rename(part, path);
  return () => rmSync(path, { force: true });
}

/** The controllers that are noted: those that serve, and those that are gone, whose notes are deleted. */
export async function knownControllers(
  directory = controllersDirectory(),
): Promise<{ serving: readonly KnownController[]; gone: readonly KnownController[] }> {
  const names = await readdir(directory).catch(() => []);
  const read = await Promise.all(
    names
      .filter((name) => name.endsWith(".json"))
      .map(async (name) => {
        const path = join(directory, name);
        const controller = parse(await readFile(path, "utf8").catch(() => ""));
        const serves = controller !== undefined && isAlive(controller.pid) && (await answers(controller.address));
        // One that is alive and doesn't answer may be starting its controller again.
        if (!controller || !isAlive(controller.pid)) await rm(path, { force: true });
        return { controller, serves };
      }),
  );
  const of = (wanted: boolean) => read.flatMap(({ controller, serves }) => (controller && serves === wanted ? [controller] : []));
  return { serving: of(true), gone: of(false) };
}

/** Whether a controller that serves at an address is one of those that `retort up` runs here. */
export const isKnownController = async (address: string): Promise<boolean> =>
  (await knownControllers()).serving.some((known) => known.address === address);

function parse(text: string): KnownController | undefined {
  try {
    return entrySchema.parse(JSON.parse(text));
  } catch {
    // Of another version of Retort, or cut off: a note that can't be read is none.
    return undefined;
  }
}

/** True if something takes connections at host:port. */
export function answers(address: string): Promise<boolean> {
  const at = address.lastIndexOf(":");
  return new Promise((resolve) => {
    const socket = connect({ host: address.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)), timeout: 1000 });
    const settle = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
    socket.once("timeout", () => settle(false));
  });
}
