import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { perToken } from "../../shared/codec/align-score.js";
import { recordedMembers } from "../../shared/flow/prompts/plan.js";
import { SamplesRecordedSchema, type TrainingSampleSchema } from "../../shared/gen/retort/v1/events_pb.js";
import type { TokenStats } from "../../shared/ml/training/stats.js";
import type { RunContext } from "../context/run-context.js";
import type { Assembled } from "./assemble.js";

type Recorded = MessageInitShape<typeof TrainingSampleSchema>;

/** What a learner's samples may take in the stream that all runs' events share: 100 steps of 4 sequences take 3 MB at 256 tokens each. */
const budgetBytes = 64 * 2 ** 20;

/**
 * Tells the run's events of some of its steps' sequences, for people to read. What is said of their tokens is what the step
 * computed itself: no forward pass is added for it.
 */
export class SampleRecorder {
  readonly #context: RunContext;
  readonly #budget: number;
  #bytes = 0;
  /** What is being published. Steps don't wait for it. */
  #published: Promise<void> = Promise.resolve();

  /** @param budget most bytes of all that it records */
  constructor(context: RunContext, budget = budgetBytes) {
    this.#context = context;
    this.#budget = budget;
  }

  /** Which members of a step's batch are to be recorded. */
  members(step: number, sequences: number): number[] {
    return this.#bytes < this.#budget ? recordedMembers(this.#context.membership.run, step, sequences) : [];
  }

  /**
   * Records members of a step's batch; they are published beside the next steps.
   *
   * @param stats one per member
   */
  async record(step: number, assembled: Assembled, members: readonly number[], stats: readonly TokenStats[]): Promise<void> {
    if (members.length === 0) return;
    const tokens = await this.#context.host.pieces(members.map((member) => assembled.batch[member]!.completionIds));
    await this.#published;
    this.#published = this.#publish(
      step,
      members.map((member, i) => sampleOf(assembled, member, tokens[i]!, stats[i]!)),
    );
    // Who waits for it hears of what went wrong.
    this.#published.catch(() => {});
  }

  /** All that was recorded is published. */
  published(): Promise<void> {
    return this.#published;
  }

  async #publish(step: number, all: readonly Recorded[]): Promise<void> {
    const { report } = this.#context;
    let samples: Recorded[] = [];
    let bytes = 0;
    let part = 0;
    const send = async () => {
      if (samples.length) await report.event({ case: "samplesRecorded", value: { step, samples } }, `${step}/${part++}`);
      [samples, bytes] = [[], 0];
    };
    for (const sample of all) {
      const size = sizeOf(step, sample);
      if (size > report.mostBytes || this.#bytes + size > this.#budget) {
        await this.#refused(step, size);
        continue;
      }
      if (bytes + size > report.mostBytes) await send();
      samples.push(sample);
      bytes += size;
      this.#bytes += size;
    }
    await send();
  }

  /** A sample had no room. */
  async #refused(step: number, bytes: number): Promise<void> {
    const { report } = this.#context;
    if (bytes > report.mostBytes) {
      const limit = `the NATS server's max_payload leaves ${report.mostBytes}`;
      return report.warning(`a sample of step ${step} takes ${bytes} bytes, and ${limit}: it isn't recorded`, "sample");
    }
    this.#bytes = this.#budget;
    const wayOut = "raise tracking.everySteps or lower tracking.samples";
    await report.warning(
      `samples are recorded up to step ${step}: they have taken the ${Math.round(this.#budget / 2 ** 20)} MiB that a run may have; ${wayOut}`,
      "samples",
    );
  }
}

const sizeOf = (step: number, sample: Recorded): number =>
  toBinary(SamplesRecordedSchema, create(SamplesRecordedSchema, { step, samples: [sample] })).length;

function sampleOf({ batch, origins }: Assembled, member: number, tokens: string[], stats: TokenStats): Recorded {
  const { samplerLogprobs, score, advantage, spans } = batch[member]!;
  const { logprobs } = score ?? {};
  const { results, at, staleness, finished } = origins[member]!;
  const { rollout, reward } = results;
  const { promptText, reference, replies } = rollout.sequences[at]!;
  const judged = reward?.rewards[at];
  return {
    ...{ prompt: promptText, reference, tokens, finished },
    replies: replies.filter(({ at }) => at < tokens.length).map(({ at, text }) => ({ at, text })),
    divergence: [...stats.divergence],
    entropy: [...stats.entropy],
    learnerLogprobs: [...stats.logprobs],
    samplerLogprobs: [...(samplerLogprobs ?? [])],
    teacherLogprobs: [...((spans && logprobs ? perToken(spans, logprobs) : logprobs) ?? [])],
    advantage: advantage === undefined ? [] : tokens.map(() => advantage),
    teacher: score ? rollout.teacher : "",
    staleness: staleness.reduce((a, b) => Math.max(a, b), 0),
    source: rollout.source,
    ...(judged ? { reward: judged.value, rewardComponents: { ...judged.components } } : {}),
  };
}
