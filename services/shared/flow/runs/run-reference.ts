import { RetortError } from "../../base/errors.js";

/** The model of a run: `run://RUN[/best|/STEP]`. */
export interface RunReference {
  /** Its id, the beginning of its id, the name of its spec, or `last`. */
  readonly run: string;
  /** Which: after a step, with the best evaluation, or the newest where it isn't said. */
  readonly which: number | "best" | "newest";
}

/** Whether a text is a reference to a run. */
export const isRunReference = (text: string): boolean => text.startsWith("run://");

/** @throws InvalidArgument naming the text and the form that it must have */
export function parseRunReference(text: string): RunReference {
  const [, run, step, best] = /^run:\/\/([\w.-]+)(?:\/(?:(\d{1,9})|(best)))?\/?$/.exec(text) ?? [];
  if (!run) throw new RetortError("InvalidArgument", `${text} names no model of a run; write run://RUN, run://RUN/best or run://RUN/STEP`);
  return { run, which: best ? "best" : step ? Number(step) : "newest" };
}
