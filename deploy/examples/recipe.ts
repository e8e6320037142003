/**
 * On-policy distillation, the whole algorithm in one process: what the services do, step by step, without a service.
 *
 *     node dist/deploy/examples/recipe.js deploy/examples/presets/on_policy_kd.yaml
 *
 * It reads the same spec, plans the same steps and draws the same samples, so its losses are those of `retort run` on that spec
 * with `rollouts: { maxStaleness: 0 }`. What it leaves out is refused: rewards, adapters, several teachers, their own prompts, students from scratch.
 */
import { readFile } from "node:fs/promises";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import { create } from "@bufbuild/protobuf";
import { RetortError } from "../../services/shared/base/errors.js";
import { found } from "../../services/shared/base/found.js";
import { type Item, itemsOf } from "../../services/shared/codec/examples.js";
import { signalFor, signalOf } from "../../services/shared/codec/signal-spec.js";
import { columnsOf, readDataset } from "../../services/shared/flow/prompts/dataset.js";
import { planStep, type StepPlan, sampleSeed, taskSeed } from "../../services/shared/flow/prompts/plan.js";
import { chatOfData } from "../../services/shared/flow/runs/chat.js";
import { needsReward, needsScore, type Phase, type ResolvedRun, resolveRun } from "../../services/shared/flow/runs/resolve.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { Purpose, SignalSpecSchema } from "../../services/shared/gen/retort/v1/flow_pb.js";
import type { RunSpec } from "../../services/shared/gen/retort/v1/run_spec_pb.js";
import { loadModel } from "../../services/shared/ml/models/files/model-files.js";
import { learningRate } from "../../services/shared/ml/optim/schedule.js";
import { Sampler } from "../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../services/shared/ml/scoring/scorer.js";
import { Encoder } from "../../services/shared/ml/text/encoder.js";
import type { TrainSequence } from "../../services/shared/ml/training/batch.js";
import type { StepStats } from "../../services/shared/ml/training/stats.js";
import { Trainer } from "../../services/shared/ml/training/trainer.js";

const machine = { device: "cpu", threads: 1, chunkTokens: 64, maxRows: 64, batchTokens: 8192 } as const;

/** Trains the student that a spec describes, and yields the figures of each step. @throws InvalidArgument naming what it leaves out */
export async function* distil(spec: RunSpec): AsyncGenerator<StepStats> {
  const run = resolveRun(spec);
  refuseOthers(spec, run);
  const student = await loadModel(found(spec.student, "the student").model);
  const teacher = await loadModel(found(spec.teachers[0], "the teacher").model);
  const data = found(spec.data, "the data");
  const encoder = new Encoder(student.tokenizer, student.config.eosIds, chatOfData(data, undefined));
  const rows = await readDataset(data.path, columnsOf(data), data.limit);
  if (rows.some(({ teacherPrompt }) => teacherPrompt))
    throw new RetortError("InvalidArgument", "the recipe leaves out rows' teacherPrompt");
  const items = itemsOf(rows, encoder);
  const scorer = new Scorer(teacher.config, teacher.params, machine);
  const sampler = new Sampler(student.config, student.params, machine);
  const trainer = new Trainer(student.config, student.params, trainerOptions(found(run.phases[0], "a phase")));

  for (let step = 1; step <= run.totalSteps; step++) {
    // 1. Which prompts, and whether the student writes (with probability lambda) or the dataset: a function of seed and step.
    const plan = planStep(run, { count: items.length }, step);
    const { phase } = plan;
    // 2. The student completes them under its newest weights.
    const texts = plan.onPolicy ? await sampled(sampler, student.config.eosIds, run, plan, items) : written(plan, items);
    // 3. The teacher scores every token of what was written.
    const signal = signalOf(create(SignalSpecSchema, signalFor(phase.objective)));
    const scores = needsScore(phase.objective) ? await scorer.score(texts, signal) : [];
    // 4. One optimiser step on the mean divergence between the two distributions.
    const batch = texts.map((text, i): TrainSequence => (scores[i] ? { ...text, score: scores[i] } : text));
    await trainer.configure(trainerOptions(phase));
    const schedule = { ...phase.optimizer, kind: phase.optimizer.schedule, totalSteps: phase.lastStep - phase.firstStep + 1 };
    yield await trainer.step(batch, learningRate(schedule, step - phase.firstStep + 1));
    // 5. The student goes on with them.
    await sampler.setWeights(trainer.published().weights);
  }
}

/** A completion of the student's for each prompt of a step, each with a seed of its own. */
async function sampled(
  sampler: Sampler,
  stopIds: readonly number[],
  run: ResolvedRun,
  { step, phase, tasks }: StepPlan,
  items: readonly Item[],
) {
  const requests = tasks.flatMap((rows, task) =>
    rows.flatMap((row, prompt) =>
      Array.from({ length: phase.samplesPerPrompt }, (_, sample) => ({
        promptIds: itemAt(items, row).promptIds,
        seed: sampleSeed(taskSeed(run, Purpose.TRAIN, step, task), prompt, sample),
      })),
    ),
  );
  const completions = await sampler.sample(requests, { ...phase.sampling, stopIds });
  return completions.map(({ ids, logprobs }, i) => ({ ...found(requests[i], "a request"), completionIds: ids, samplerLogprobs: logprobs }));
}

/** The dataset's own completions. */
const written = ({ tasks }: StepPlan, items: readonly Item[]) =>
  tasks.flat().map((row) => {
    const { promptIds, completionIds } = itemAt(items, row);
    return { promptIds, completionIds: found(completionIds, `the completion of row ${row}`) };
  });

const itemAt = (items: readonly Item[], row: number): Item => found(items[row], `row ${row}`);
const trainerOptions = ({ objective, optimizer }: Phase) => ({ ...machine, objective, optimizer, ...optimizer });

function refuseOthers({ student, teachers, data }: RunSpec, { phases }: ResolvedRun): void {
  const left = [
    student?.init && "student.init",
    student?.lora && "student.lora",
    teachers.length !== 1 && `${teachers.length} teachers`,
    teachers.some(({ promptTemplate, system, server }) => promptTemplate || system || server) && "teachers' own prompts and servers",
    data?.generate && "data.generate",
    phases.some(({ objective }) => needsReward(objective)) && "rewards",
    phases.some(({ objective }) => ["student_top_k", "hidden"].includes(objective.signal)) && "the signals student_top_k and hidden",
    phases.some(({ objective }) => objective.prefixTokens) && "objective.prefixTokens",
  ].filter(Boolean);
  if (left.length) throw new RetortError("InvalidArgument", `the recipe leaves out ${left.join(", ")}; run this spec with retort run`);
}

const [, program = "", path] = argv;
if (import.meta.url === pathToFileURL(program).href) {
  if (!path) throw new RetortError("InvalidArgument", "name a run's spec: node dist/deploy/examples/recipe.js SPEC");
  let step = 0;
  for await (const { loss, divergence } of distil(parseSpec(await readFile(path, "utf8"), path)))
    console.log(`step ${++step}: loss ${loss.toFixed(6)}, divergence ${divergence.toFixed(6)}`);
}
