import { createContext, Script } from "node:vm";

const context = createContext({}) as { run?: () => unknown };
const script = new Script("run()");

/**
 * Runs a function that may never end, such as a pattern's search, and cuts it off.
 *
 * @returns what it returns, or undefined if it took longer
 */
export function within<T>(milliseconds: number, run: () => T): { readonly value: T } | undefined {
  context.run = run;
  try {
    return { value: script.runInContext(context, { timeout: Math.max(1, Math.ceil(milliseconds)) }) as T };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return undefined;
    throw error;
  } finally {
    context.run = undefined;
  }
}
