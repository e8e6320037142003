import { create } from "@bufbuild/protobuf";
import { type SamplesRecorded, SamplesRecordedSchema, type TrainingSample } from "../../gen/retort/v1/events_pb.js";

/** Which samples are looked for; what is absent lets all pass. */
export interface SampleFilter {
  readonly firstStep?: number | undefined;
  readonly lastStep?: number | undefined;
  readonly minReward?: number | undefined;
  readonly maxReward?: number | undefined;
  /** Completion tokens. */
  readonly minTokens?: number | undefined;
  readonly maxTokens?: number | undefined;
  /** Whether a stop token ended it. */
  readonly finished?: boolean | undefined;
}

/** Samples that pass a filter, newest step first. A sample without a reward passes no bound of it. */
export function filterSamples(recorded: readonly SamplesRecorded[], filter: SampleFilter, limit: number): SamplesRecorded[] {
  const { firstStep = 0, lastStep = Number.POSITIVE_INFINITY } = filter;
  const found: SamplesRecorded[] = [];
  let left = limit;
  for (const { step, samples } of recorded.toReversed()) {
    if (left <= 0) break;
    if (step < firstStep || step > lastStep) continue;
    const passing = samples.filter((sample) => passes(sample, filter)).slice(0, left);
    left -= passing.length;
    if (passing.length > 0) found.push(create(SamplesRecordedSchema, { step, samples: passing }));
  }
  return found;
}

function passes({ reward, tokens, finished }: TrainingSample, filter: SampleFilter): boolean {
  const { minReward, maxReward, minTokens = 0, maxTokens = Number.POSITIVE_INFINITY } = filter;
  if (minReward !== undefined && !(reward !== undefined && reward >= minReward)) return false;
  if (maxReward !== undefined && !(reward !== undefined && reward <= maxReward)) return false;
  if (filter.finished !== undefined && finished !== filter.finished) return false;
  return tokens.length >= minTokens && tokens.length <= maxTokens;
}
