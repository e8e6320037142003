import { RunState, Wanted } from "../../gen/retort/v1/run_pb.js";

/** What the controller wants of a run's learner. */
export type Control = "run" | "pause" | "stop";

/** What is asked of a run, as it is stored: it outlives the run's processes and the controller. */
export interface Wish {
  readonly control: Control;
  /** When it was asked, in milliseconds since 1970; 0 where that is not known. */
  readonly since: number;
  /** When a stop is over at the latest, in milliseconds since 1970: what still runs is then ended. */
  readonly deadline?: number;
}

const controls: readonly string[] = ["run", "pause", "stop"];

/** The stored form of a wish. */
export const wishToText = (wish: Wish): string => JSON.stringify(wish);

/** Reads a stored wish; a bare word is one without times. @throws Error if the text is neither */
export function wishOf(text: string): Wish {
  if (controls.includes(text)) return { control: text as Control, since: 0 };
  const { control, since, deadline } = JSON.parse(text) as Partial<Record<keyof Wish, unknown>>;
  if (!controls.includes(String(control))) throw new Error("it names no wish: run, pause or stop");
  const finite = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
  return { control: control as Control, since: finite(since) ? since : 0, ...(finite(deadline) ? { deadline } : {}) };
}

/** What was asked of a run whose wish is lost, by the state that it had brought about. */
export const wishByState = (state: RunState): Control =>
  state === RunState.STOPPING || state === RunState.STOPPED ? "stop" : state === RunState.PAUSED ? "pause" : "run";

/** A wish as the run's record shows it. */
export const wantedOf = (control: Control): Wanted => ({ run: Wanted.RUN, pause: Wanted.PAUSE, stop: Wanted.STOP })[control];
