import { totalmem } from "node:os";

/** Bytes of memory that this process may have: the machine's, or its container's limit if that is less. */
export function memoryLimit(): number {
  // 0, or more than there is, without a limit.
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}
