import type { TrainingSample } from "../../shared/gen/retort/v1/events_pb.js";

/** What tokens are coloured by. */
export type Measure = "divergence" | "entropy" | "advantage";

/** All that tokens can be coloured by. */
export const measures: readonly Measure[] = ["divergence", "entropy", "advantage"];

/** A measure's values over samples, and what the end of its colour scale stands for. */
export interface Scale {
  readonly measure: Measure;
  /** Where the colour is strongest. */
  readonly most: number;
  readonly unit: string;
}

/** The scale of a measure over samples: its 98th percentile is as strong as a colour gets, so that one token can't hide the rest. */
export function scaleOf(samples: readonly Partial<Pick<TrainingSample, Measure>>[], measure: Measure): Scale {
  const sizes = samples.flatMap((sample) => (sample[measure] ?? []).map(Math.abs)).filter(Number.isFinite);
  sizes.sort((a, b) => a - b);
  const most = sizes[Math.min(sizes.length - 1, Math.floor(0.98 * sizes.length))] || sizes.at(-1) || 1;
  return { measure, most, unit: measure === "advantage" ? "" : "nats" };
}

/** Which measures samples have at all. */
export const measuresOf = (samples: readonly TrainingSample[]): Measure[] =>
  measures.filter((measure) => samples.some((sample) => sample[measure].length > 0));
