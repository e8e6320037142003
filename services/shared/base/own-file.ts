import { constants } from "node:fs";
import { access, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { RetortError } from "./errors.js";
import { makeDirectory } from "./make-directory.js";

/** How a file of ours is told from others', and whether others' are taken as well. */
export interface OwnFileOptions {
  /** The option that names it, as the user types it. */
  readonly option: string;
  /** Tells from its first 4 KiB. */
  readonly isOurs: (head: string) => boolean;
  readonly force?: boolean;
}

/**
 * Checks, before the work, that a file can be written and that nothing of others' is lost by it; makes its directory.
 *
 * @throws FailedPrecondition or PermissionDenied naming the file and the way out
 */
export async function checkOwnFile(path: string, { option, isOurs, force = false }: OwnFileOptions): Promise<void> {
  const refuse = (why: string, code: "FailedPrecondition" | "PermissionDenied" = "FailedPrecondition") => {
    throw new RetortError(code, `${option} ${path} ${why}`);
  };
  await makeDirectory(dirname(path)).catch(({ code }: NodeJS.ErrnoException) =>
    refuse(`cannot be written: ${dirname(path)} cannot be made (${code}); name another file`),
  );
  const found = await stat(path).catch(({ code }: NodeJS.ErrnoException) =>
    code === "ENOENT" ? undefined : refuse(`cannot be written (${code}); name another file`),
  );
  await access(found ? path : dirname(path), constants.W_OK).catch(({ code }: NodeJS.ErrnoException) =>
    refuse(`cannot be written (${code}); name another file`, "PermissionDenied"),
  );
  // A device, such as /dev/null, holds nothing that could be lost.
  if (!found || found.isCharacterDevice()) return;
  if (!found.isFile()) refuse(`is ${found.isDirectory() ? "a directory" : "a pipe or socket"}; name a file`);
  if (force || found.size === 0 || isOurs(await headOf(path))) return;
  refuse("holds what Retort did not write; name another file, or add --force to overwrite it");
}

async function headOf(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
