import { hasWorkers } from "./workers.js";

/**
 * Exits with a code, whatever this process's threads do. Node's own exit terminates the worker threads first, and one that is
 * within a call of onnxruntime-node aborts the process then: its exit code would say that it crashed.
 */
export async function exitNow(code: number): Promise<never> {
  if (hasWorkers() && process.platform !== "win32") {
    try {
      const { default: koffi } = await import("./foreign.js");
      koffi.load(null).func("void _exit(int)")(code);
    } catch {
      // Without the library the code is at risk, the end isn't.
    }
  }
  process.exit(code);
}
