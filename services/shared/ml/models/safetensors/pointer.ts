import { RetortError } from "../../../base/errors.js";

const pointerStart = "version https://git-lfs.github.com/spec";

/** Whether a file's first bytes are those of a git-lfs pointer, which stands for the file until it is fetched. */
export const isPointer = (bytes: Uint8Array): boolean => Buffer.from(bytes.subarray(0, 64)).toString("latin1").startsWith(pointerStart);

/** Why a git-lfs pointer cannot be read. */
export const pointerError = (path: string): RetortError =>
  new RetortError("InvalidArgument", `${path} is a git-lfs pointer, not the file itself; run \`git lfs pull\` in its repository`);
