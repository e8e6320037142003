import { type Run, RunState } from "@retort/proto";

const over: readonly RunState[] = [RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED];

/** True if nothing of a run is running any more. */
export const isOver = ({ state }: Pick<Run, "state">): boolean => over.includes(state);
