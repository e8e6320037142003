import { readlink, realpath } from "node:fs/promises";
import { isIP } from "node:net";
import { basename, dirname, isAbsolute, join, resolve, sep } from "node:path";
import { RetortError } from "./errors.js";

/** True for a host that is this machine, whatever names are served; an address of IPv6 may stand in brackets. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "");
  if (isIP(bare) === 4) return bare.startsWith("127.");
  return bare === "localhost" || bare === "::1";
}

/** Directories that paths named by callers must lie in. */
export class Roots {
  readonly #roots: readonly string[] | undefined;
  readonly #setting: string;

  /**
   * @param roots directories, separated by commas; undefined permits every path
   * @param setting what an operator changes to permit more: "--roots"
   */
  constructor(roots: string | undefined, setting: string) {
    this.#setting = setting;
    this.#roots = roots
      ?.split(",")
      .map((root) => root.trim())
      .filter(Boolean);
    const relative = this.#roots?.find((root) => !isAbsolute(root));
    if (relative !== undefined) throw new RetortError("InvalidArgument", `${setting} has "${relative}"; give absolute directories`);
    if (this.#roots?.length === 0) throw new RetortError("InvalidArgument", `${setting} is empty; leave it out to permit every path`);
  }

  /**
   * Why a path may not be used; undefined if it may. Links are followed as far as the path exists. The answer is the same
   * whether or not there is something outside.
   */
  async refusal(path: string): Promise<string | undefined> {
    if (!this.#roots) return undefined;
    if (path.includes("\0")) return "is no path: it has a null character";
    const real = await realPath(resolve(path));
    for (const root of this.#roots) if (isWithin(real, await realPath(resolve(root)))) return undefined;
    return `is ${path}, which is in none of the directories that ${this.#setting} permits: ${this.#roots.join(", ")}`;
  }

  /** @throws PermissionDenied naming the field, the path and the setting */
  async check(path: string, fieldPath: string): Promise<void> {
    const refused = await this.refusal(path);
    if (refused) throw new RetortError("PermissionDenied", `${fieldPath} ${refused}`, { fieldPath });
  }
}

/** True if a path is a directory or lies in it; both absolute, without links. */
export const isWithin = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory.endsWith(sep) ? directory : directory + sep);

/** Most links that are followed to something that is not there, as the system itself follows at most 40. */
const mostLinks = 40;

/** An absolute path with links followed, also by that part of it that does not exist yet. */
export async function realPath(path: string, links = 0): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    if (parent === path) return path;
    const directory = await realPath(parent, links);
    const place = join(directory, basename(path));
    const target = links < mostLinks ? await readlink(place).catch(() => undefined) : undefined;
    // What is written through a link to nothing is made where it leads.
    return target === undefined ? place : realPath(resolve(directory, target), links + 1);
  }
}
