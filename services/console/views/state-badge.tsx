import { RunState } from "../../shared/gen/retort/v1/run_pb.js";

/** States in which nothing more comes. */
export const over: readonly RunState[] = [RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED];

const marks: Readonly<Record<RunState, string>> = {
  [RunState.UNSPECIFIED]: "?",
  [RunState.PENDING]: "○",
  [RunState.RUNNING]: "●",
  [RunState.PAUSED]: "‖",
  [RunState.STOPPING]: "◐",
  [RunState.SUCCEEDED]: "✓",
  [RunState.FAILED]: "✗",
  [RunState.STOPPED]: "■",
};

/** A state's word. */
export const stateWord = (state: RunState): string => RunState[state]?.toLowerCase() ?? "unknown";

/** A run's state, told by mark and word as well as by colour. */
export const StateBadge = ({ state }: { readonly state: RunState }) => (
  <span class={`state ${stateWord(state)}`}>
    <span aria-hidden="true">{marks[state]}</span> {stateWord(state)}
  </span>
);
