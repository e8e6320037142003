import { counted } from "../../shared/base/counted.js";
import { needsReward, type Phase } from "../../shared/flow/runs/resolve.js";
import { parametersOf } from "../../shared/flow/runs/sizes.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import {
  fewestParameters,
  type Trained,
  usualLearningRate,
  usualSequences,
  usualTemperature,
  usualWarmup,
} from "../../shared/ml/optim/usual.js";
import type { CheckedRun, SpecWarning } from "./checked-run.js";

/** How many times the usual learning rate is unusual: above that lies what models are pre-trained with, at its peak. */
const muchMore = 5;

/** How much less is unusual for an adapter: the usual rate of full training is a tenth of its. */
const muchLess = 1 / 20;

/** Fewer sequences make a gradient that is mostly noise. */
const fewSequences = 4;

/** What is sampled at a lower temperature is hardly drawn at all. */
const lowTemperature = 0.1;

/**
 * Warns of settings that suit a toy and not the model at hand, or that can't be meant: learning rates, warm-ups, greedy samples to train on,
 * steps of few sequences, rewards that cancel out. Each warning says what is usual; shared/ml/optim/usual.ts says whose figures these are.
 */
export const settingsWarnings = (checked: CheckedRun): SpecWarning[] =>
  checked.run.phases.flatMap((phase, i) => {
    const given = checked.spec.phases[i]?.optimizer?.learningRate;
    const warnings = { ...rateWarning(checked, phase, given === undefined), ...warmupWarning(phase), ...samplingWarning(phase) };
    const more = { ...batchWarning(phase), ...baselineWarning(phase), ...productsWarning(checked, phase) };
    return Object.entries({ ...warnings, ...more }).map(([name, message]) => ({ field: `phases[${i}].${name}`, message }));
  });

/** Warnings by the field of the phase that they are about. */
type Warnings = Readonly<Record<string, string>>;

function rateWarning({ spec, student }: CheckedRun, { optimizer, objective }: Phase, byDefault: boolean): Warnings {
  const { init } = spec.student;
  const parameters = init ? parametersOf(init, student.rows) : student.config && parameterCount(student.config);
  if (!parameters || parameters < fewestParameters) return {};
  const trained: Trained = init ? "scratch" : spec.student.lora || student.adapted ? "adapter" : "weights";
  const usual = usualLearningRate(parameters, trained);
  const { learningRate } = optimizer;
  const isHigh = learningRate > muchMore * usual;
  // What is learnt from rewards is learnt at lower rates.
  const isLow = trained === "adapter" && learningRate < muchLess * usual && !needsReward(objective);
  if (!isHigh && !isLow) return {};
  const what = { adapter: "an adapter of a model", scratch: "a model from scratch", weights: "all weights of a trained model" }[trained];
  const so = isLow
    ? "it will hardly learn (an adapter takes ten times what all weights do)"
    : trained === "scratch"
      ? "it may diverge"
      : `it may forget what it has learnt${trained === "weights" ? ", or diverge: lower it, or train an adapter (student.lora)" : ""}`;
  const value = `${learningRate}${byDefault ? ", the default" : ""}`;
  return {
    "optimizer.learningRate": `is ${value}; about ${inWords(usual)} is usual for ${what} of ${short(parameters)} parameters: ${so}`,
  };
}

function warmupWarning({ firstStep, lastStep, optimizer }: Phase): Warnings {
  const steps = lastStep - firstStep + 1;
  const { warmupSteps, learningRate } = optimizer;
  if (warmupSteps === 0 || warmupSteps < steps) return {};
  // The first step's rate is 0.
  const reached = (learningRate * (steps - 1)) / warmupSteps;
  const so = `the learning rate gets to ${reached ? inWords(reached) : "0"} and never to ${learningRate}`;
  return {
    "optimizer.warmupSteps": `is ${warmupSteps}, and the phase has ${steps} steps: ${so}; at most ${Math.floor(usualWarmup * steps)} (a tenth of the steps) is usual`,
  };
}

function samplingWarning({ lambda, lambdaEnd, samplesPerPrompt, sampling: { temperature, topK } }: Phase): Warnings {
  if (Math.max(lambda, lambdaEnd) === 0) return {};
  const [name, value] = temperature < lowTemperature ? ["temperature", temperature] : ["topK", topK];
  if (name === "topK" && topK !== 1) return {};
  const alike = samplesPerPrompt > 1 ? `, ${samplesPerPrompt} times the same` : "";
  return {
    [`sampling.${name}`]: `is ${value}: the student is trained on the one text of each prompt that it finds most probable${alike}, and on nothing else that it writes; ${usualTemperature}, untruncated, is usual`,
  };
}

function batchWarning({ batchSize, samplesPerPrompt }: Phase): Warnings {
  const sequences = batchSize * samplesPerPrompt;
  if (sequences >= fewSequences) return {};
  const samples = samplesPerPrompt > 1 ? ` (samplesPerPrompt ${samplesPerPrompt})` : "";
  return {
    batchSize: `is ${batchSize}${samples}: a step of ${counted(sequences, "sequence")} follows noise; ${usualSequences} are usual. They take no more memory: optimizer.microBatchTokens bounds it`,
  };
}

function productsWarning({ spec }: CheckedRun, { optimizer: { computeDtype } }: Phase): Warnings {
  const device = spec.roles?.learner?.device || "cpu";
  if (computeDtype === "float32" || device !== "cpu") return {};
  return {
    "optimizer.computeDtype": `is ${computeDtype}, and the learner is on a CPU, which computes such products in float32 and rounds them: that is slower than float32, and takes more memory; half precision pays on a GPU (roles.learner.device: cuda)`,
  };
}

function baselineWarning({ objective, batchSize, samplesPerPrompt }: Phase): Warnings {
  const others = { batch: batchSize * samplesPerPrompt, group: samplesPerPrompt, none: 2 }[objective.baseline];
  if (!needsReward(objective) || others > 1) return {};
  return {
    "objective.baseline": `is ${objective.baseline}, the mean of one sample alone: every reward less that is 0, and nothing is learnt of rewards; set samplesPerPrompt (4 is usual) or another baseline`,
  };
}

const inWords = (rate: number): string => rate.toExponential(1);

const short = (count: number): string => new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(count);
