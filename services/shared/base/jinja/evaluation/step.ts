import type { Scope } from "./scope.js";

/** How a statement ended. */
export type Signal = "done" | "break" | "continue";

/** A statement, ready to be run. */
export type Step = (scope: Scope) => Signal;
