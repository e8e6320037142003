/** How a run's learner came to its end; `over` for a run that was over before it began. */
export type Ending = "succeeded" | "stopped" | "handedBack" | "over";
