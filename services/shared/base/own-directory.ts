import { constants } from "node:fs";
import { access, lstat, readdir, readFile, realpath, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, parse, resolve } from "node:path";
import { RetortError } from "./errors.js";
import { makeDirectory } from "./make-directory.js";
import { isWithin } from "./paths.js";
import { writeAtomically } from "./write-atomically.js";

/** The file that says of a directory that Retort made it, and what for. */
export const markerName = ".retort-directory";

/** What a directory of ours is for; what was made for one thing is not written over by another. */
export type DirectoryKind =
  | "checkpoint"
  | "classifier"
  | "data"
  | "demo"
  | "export"
  | "import"
  | "output"
  | "report"
  | "reproduction"
  | "shrink"
  | "task";

/** What a marker says. */
export interface DirectoryMarker {
  readonly kind: DirectoryKind;
  readonly version: 1;
  /** ISO 8601. */
  readonly created: string;
  /** It held files of others when it was marked, by force: nothing in it is ever deleted. */
  readonly adopted?: true;
}

/** How strict the rule is. */
export interface OwnDirectoryOptions {
  /** Takes a directory with files of others as well; their files stay, those of the same names are overwritten. */
  readonly force?: boolean;
  /** Further kinds that will do. */
  readonly also?: readonly DirectoryKind[];
  /** Names that only a directory of ours from before there were markers has, all of them. */
  readonly unmarked?: readonly string[];
  /** The way out, as the end of a sentence. */
  readonly wayOut?: string;
}

/** The usual way out, for commands that have `--force`. */
const usualWayOut = "name another directory, or add --force, which overwrites files of the names that are written and deletes nothing";

/** A directory's marker; undefined where there is none, or none that can be read. */
export async function readMarker(directory: string): Promise<DirectoryMarker | undefined> {
  const path = join(directory, markerName);
  try {
    const found = await lstat(path);
    if (!found.isFile() || found.size > 4096) return undefined;
    const marker = JSON.parse(await readFile(path, "utf8")) as Partial<DirectoryMarker> | null;
    return typeof marker?.kind === "string" ? (marker as DirectoryMarker) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Why a directory may not be written to, as a sentence; undefined if it may. It may if it does not exist, is empty (of all
 * but directories of ours), or is marked as of this kind. Nothing is made or changed.
 */
export async function directoryProblem(path: string, kind: DirectoryKind, options: OwnDirectoryOptions = {}): Promise<string | undefined> {
  const { force = false, also = [], unmarked, wayOut = usualWayOut } = options;
  const place = await placeOf(path);
  if (place === "absent") return undefined;
  if (place !== "directory") return `${path} is ${place}; name another directory`;
  const marker = await readMarker(path);
  if (marker && [kind, ...also].includes(marker.kind) && !(marker.adopted && kind === "demo" && !force)) return undefined;
  const names = (await readdir(path)).sort();
  const strangers = marker ? names.filter((name) => name !== markerName) : await withoutOurs(path, names);
  if (strangers.length === 0 || force) return undefined;
  if (!marker && unmarked?.every((name) => names.includes(name))) return undefined;
  const listed = strangers.slice(0, 3).join(", ") + (strangers.length > 3 ? ` and ${strangers.length - 3} more` : "");
  const why = marker && marker.kind !== kind ? `was made for another purpose (${marker.kind})` : `holds what Retort did not make`;
  return `${path} ${why} (${listed}); ${wayOut}`;
}

/**
 * A directory of ours: made and marked if it is absent or empty, taken if it is marked as of this kind. Returns its path
 * with symbolic links resolved.
 *
 * @throws FailedPrecondition naming the directory, what is in it and the way out
 */
export async function ownDirectory(path: string, kind: DirectoryKind, options: OwnDirectoryOptions = {}): Promise<string> {
  const problem = await directoryProblem(path, kind, options);
  if (problem) throw new RetortError("FailedPrecondition", problem);
  await makeDirectory(path).catch((error: NodeJS.ErrnoException) => {
    const { code } = RetortError.from(error);
    throw new RetortError(
      code === "Internal" ? "FailedPrecondition" : code,
      `${path} cannot be made (${error.code}); name another directory`,
    );
  });
  const directory = await realpath(path);
  const before = await readMarker(directory);
  const foreign = (await withoutOurs(directory, await readdir(directory))).length > 0;
  // One that nothing came into changes its purpose.
  if (before && (foreign || before.kind === kind)) return directory;
  const marker: DirectoryMarker = {
    kind,
    version: 1,
    created: new Date().toISOString(),
    ...(foreign && options.force ? { adopted: true as const } : {}),
  };
  await writeAtomically(join(directory, markerName), Buffer.from(`${JSON.stringify(marker)}\n`));
  return directory;
}

/**
 * Deletes the named entries of a directory of ours, and nothing else. In one that was taken by force, nothing at all.
 *
 * @throws FailedPrecondition if it is the root, the home directory or one that the working directory lies in
 */
export async function clearDirectory(path: string, kind: DirectoryKind, names: readonly string[]): Promise<void> {
  const directory = await realpath(path);
  checkDeletable(directory);
  const marker = await readMarker(directory);
  if (marker?.kind !== kind || marker.adopted) return;
  for (const name of names) await rm(join(directory, name), { recursive: true, force: true });
}

/** Refuses a directory in which nothing may ever be deleted. @param directory with symbolic links resolved */
export function checkDeletable(directory: string): void {
  const reason =
    directory === parse(directory).root
      ? "the root of the file system"
      : directory === resolve(homedir())
        ? "the home directory"
        : isWithin(process.cwd(), directory) && process.cwd() !== directory
          ? "a directory that the working directory lies in"
          : undefined;
  if (reason)
    throw new RetortError("FailedPrecondition", `${directory} is ${reason}, in which nothing is deleted; name a directory of its own`);
}

/** Whether two paths lead to the same place, by whatever links. */
export async function isSame(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([a, b].map((path) => stat(path).catch(() => undefined)));
  return one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino;
}

/** @throws PermissionDenied naming a directory that cannot be written to */
export async function checkWritable(directory: string): Promise<void> {
  await access(directory, constants.W_OK).catch((error: NodeJS.ErrnoException) => {
    throw new RetortError("PermissionDenied", `${directory} cannot be written to (${error.code}); name another directory`);
  });
}

/** What is at a path. A link that leads nowhere is not absent: it would be followed. */
async function placeOf(path: string): Promise<string> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return "directory";
    return found.isFile() ? "a file" : "a device, pipe or socket";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isLink = await lstat(path).then(
      (found) => found.isSymbolicLink(),
      () => false,
    );
    if (isLink) return "a symbolic link that leads nowhere";
    if (code === "ENOENT") return "absent";
    if (code === "ENOTDIR") return `below a file (${dirname(path)})`;
    return `out of reach (${code})`;
  }
}

/** The marker, or what a process that was killed has left of one. */
const isMarker = (name: string): boolean => name === markerName || (name.startsWith(`${markerName}.`) && name.endsWith(".tmp"));

/** The names that are not directories of ours, nor the marker. */
async function withoutOurs(directory: string, names: readonly string[]): Promise<string[]> {
  const ours = await Promise.all(names.map(async (name) => isMarker(name) || (await readMarker(join(directory, name))) !== undefined));
  return names.filter((_, i) => !ours[i]);
}
