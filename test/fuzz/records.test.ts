import { type DescMessage, type Message, type MessageShape, type MessageValidType, toBinary } from "@bufbuild/protobuf";
import { assemble } from "../../services/learner/step/assemble.js";
import { soundResults } from "../../services/learner/tasks/planned-task.js";
import { audit } from "../../services/shared/flow/ledger/audit.js";
import { readRecord } from "../../services/shared/flow/read-record.js";
import {
  PromptTaskSchema,
  type Reward,
  RewardSchema,
  type Rollout,
  RolloutSchema,
  StepAccountSchema,
  type TeacherScore,
  TeacherScoreSchema,
} from "../../services/shared/gen/retort/v1/flow_pb.js";
import { decoderInputs } from "../../services/shared/ml/models/architectures/sequence-inputs.js";
import { microBatch, splitBatch, type TrainSequence } from "../../services/shared/ml/training/batch.js";
import { mutatedBytes } from "../support/fuzz/bytes.js";
import { fuzz, outcomeOf } from "../support/fuzz/cases.js";
import { mutatedMessage, randomMessage } from "../support/fuzz/messages.js";
import type { Random } from "../support/fuzz/random.js";
import { account, planned, records, reward, rollout, score, task, vocab } from "../support/fuzz/records.js";
import { sampled, scored } from "../support/fuzz/workers.js";
import { runOf } from "../support/runs/run-spec.js";

const run = runOf([{ steps: 9, batchSize: 2, samplesPerPrompt: 2, objective: { divergence: "reverse_kl", signal: "full", alpha: 0.5 } }], {
  rewards: [{ kind: "length" }],
});
const phase = run.phases[0]!;

/** The record as it arrives: as it was, changed, or broken. */
function arrived<D extends DescMessage>(random: Random, descriptor: D, message: MessageShape<D>): Uint8Array {
  const kind = random.int(10);
  if (kind === 0) return random.bytes(random.int(60));
  const bytes = toBinary(
    descriptor,
    kind < 8 ? mutatedMessage(random, descriptor, message) : kind === 8 ? randomMessage(random, descriptor) : message,
  );
  return kind === 9 ? mutatedBytes(random, bytes) : bytes;
}

/** A record of a kind, if what arrived is one. */
async function readable<D extends DescMessage>(
  random: Random,
  descriptor: D,
  message: MessageShape<D>,
): Promise<MessageValidType<D> | undefined> {
  const bytes = arrived(random, descriptor, message);
  const outcome = await outcomeOf(() => readRecord(descriptor, bytes));
  return "value" in outcome ? outcome.value : undefined;
}

/** Refuses a batch that would poison the weights. */
function expectSound(batch: readonly TrainSequence[]): void {
  for (const { promptIds, completionIds, samplerLogprobs, advantage } of batch) {
    if (promptIds.length === 0 || completionIds.length === 0) throw new Error("a sequence without tokens is trained on");
    if (samplerLogprobs?.some(Number.isNaN)) throw new Error("NaN among the sampler's log-probabilities");
    if (advantage !== undefined && !Number.isFinite(advantage)) throw new Error(`the advantage ${advantage}`);
  }
  const numbers = new Set<string>();
  for (const members of splitBatch(batch, { budget: phase.optimizer.microBatchTokens || 16_384, overhead: 100 }, decoderInputs)) {
    const { feeds } = microBatch(batch, members, { inputs: decoderInputs, padId: 0, vocab, objective: phase.objective, blockRows: 0 });
    for (const [name, { data }] of Object.entries(feeds)) if (data instanceof Float32Array && data.some(Number.isNaN)) numbers.add(name);
  }
  for (const { score } of batch)
    for (const array of [score?.full, score?.logprobs])
      if (array?.some((x) => Number.isNaN(x) || x > 1)) throw new Error("a score that is none goes into the step");
  if (numbers.size) throw new Error(`NaN goes into the step: ${[...numbers].join(", ")}`);
}

describe("a record that may be anything", () => {
  it("is read and within its rules, or refused", () =>
    fuzz("records", 2000, async (random) => {
      const [descriptor, message] = random.pick(records) as unknown as readonly [DescMessage, Message];
      await readable(random, descriptor, message);
    }));

  it("comes into a batch only if it is sound, and every sample is accounted for", async () => {
    let trained = 0;
    await fuzz("results of a step", 1200, async (random) => {
      const results = {
        rollout: random.chance(0.5) ? rollout : await readable(random, RolloutSchema, rollout),
        score: random.chance(0.5) ? score : await readable(random, TeacherScoreSchema, score),
        reward: random.chance(0.5) ? reward : await readable(random, RewardSchema, reward),
      } as { rollout: Rollout; score: TeacherScore; reward: Reward };
      if (!results.rollout || !results.score || !results.reward) return;
      const outcome = await outcomeOf(() => assemble(soundResults([structuredClone(results)], [planned]), phase, 4));
      if ("refusal" in outcome) return;
      const { batch, trained: kept, failures, origins, ...figures } = outcome.value;
      const places = [...kept, ...failures].map(({ prompt, sample }) => `${prompt}/${sample}`).sort();
      expect(places).toEqual(["0/0", "0/1", "1/0", "1/1"]);
      expect(origins).toHaveLength(batch.length);
      for (const [name, value] of Object.entries(figures))
        if (value !== undefined && !Number.isFinite(value)) throw new Error(`${name} is ${value}`);
      const sound = await outcomeOf(() => expectSound(batch));
      if ("value" in sound) trained += batch.length;
    });
    if (process.env.RETORT_FUZZ_ONLY === undefined) expect(trained).toBeGreaterThan(0);
  });

  it("as a task is dropped, refused, or answered with a rollout that is a record and has every sample", () =>
    fuzz("tasks", 600, async (random) => {
      const bytes = arrived(random, PromptTaskSchema, task);
      const outcome = await outcomeOf(() => sampled(bytes, random));
      if ("refusal" in outcome || !outcome.value) return;
      const asked = readRecord(PromptTaskSchema, bytes);
      const made = readRecord(RolloutSchema, outcome.value);
      expect(made.sequences).toHaveLength(asked.prompts.length * asked.samplesPerPrompt);
    }));

  it("as a rollout is refused, or answered with a score that is a record and has every sequence", () =>
    fuzz("rollouts", 600, async (random) => {
      const bytes = arrived(random, RolloutSchema, rollout);
      const outcome = await outcomeOf(() => scored(bytes));
      if ("refusal" in outcome) return;
      const made = readRecord(TeacherScoreSchema, outcome.value!);
      expect(made.scores).toHaveLength(readRecord(RolloutSchema, bytes).sequences.length);
    }));

  it("as an account of a step is refused, or audited", () =>
    fuzz("accounts", 600, async (random) => {
      const accounts = [];
      for (let n = random.int(4); n >= 0; n--) {
        const read = await readable(random, StepAccountSchema, account);
        if (read) accounts.push(read);
      }
      const found = audit(accounts, { run, lastStep: 4, rows: random.pick([undefined, { count: 12 }]), learners: 2 });
      const { samples, trained, failed } = found;
      if (found.holds && BigInt(samples) !== BigInt(trained) + BigInt(failed))
        throw new Error(`it holds with ${samples} = ${trained} + ${failed}`);
      // Steps 1 to 3 are recorded by nobody, or by who knows whom: it must not hold.
      if (found.holds) throw new Error("it holds without the first steps");
    }));
});
