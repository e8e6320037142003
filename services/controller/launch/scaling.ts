/** How a role's pods follow the length of its queue. */
export interface Scaling {
  /** How often the queue is looked at. */
  readonly pollingSeconds: number;
  /** How long a role may be idle before its last pod goes. */
  readonly cooldownSeconds: number;
  /** Tasks, waiting or in hand, for which there is one pod. */
  readonly tasksPerPod: number;
}

/** A process takes two tasks at once; a last pod stays longer than a step takes, and goes before a GPU hour hurts. */
export const defaultScaling: Scaling = { pollingSeconds: 5, cooldownSeconds: 120, tasksPerPod: 2 };
