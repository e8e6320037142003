import { usualLearningRate, usualSequences } from "../../shared/ml/optim/usual.js";
import type { Survey } from "./survey.js";

/** What is trained, and what saves memory: the ways to train a model, the best first. */
export type Way = "adapter" | "checkpointed adapter" | "weights";

/** The settings of a spec that follow from models and data. */
export interface Choices {
  readonly way: Way;
  readonly preset: "on_policy_kd" | "sft";
  readonly steps: number;
  readonly batchSize: number;
  readonly maxNewTokens: number;
  /** Tokens that a text may have, for student and teacher. */
  readonly context: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  /** Rows that are measured and not trained on; 0 where there are too few. */
  readonly holdOut: number;
  /** Empty: exact_match. */
  readonly metric: "" | "numeric" | "rouge_l";
  /** Rows that are trained on, as far as they were looked at. */
  readonly trained: number;
}

/** Passes over the rows, and within which bounds of steps. */
const [passes, fewestSteps, mostSteps] = [3, 50, 500];

/** Share of the rows that is held out, how many at most, and of how many rows none is. */
const [heldShare, mostHeld, fewRows] = [0.1, 128, 40];

/** Where the data doesn't say how long completions are. */
const usualNewTokens = 256;

/** Longer references are hardly ever written word for word. */
const longReference = 32;

/** Share of the steps in which the learning rate rises. */
const warmup = 0.05;

/** The settings for models and data. @param way what is trained, as memory permits it */
export function choicesFor({ student, teacher, data, heldOut }: Survey, way: Way): Choices {
  const holdOut = heldOut || data.rows < fewRows ? 0 : Math.min(mostHeld, Math.floor(heldShare * data.rows));
  const trained = data.rows - holdOut;
  const batchSize = Math.max(4, Math.min(usualSequences, trained));
  const steps = Math.min(mostSteps, Math.max(fewestSteps, Math.round((passes * trained) / batchSize)));
  const context = Math.min(student.context, teacher?.context ?? student.context);
  const room = Math.max(1, context - data.prompts.most);
  const isAdapter = way !== "weights" || student.adapted;
  return {
    way,
    preset: teacher ? "on_policy_kd" : "sft",
    steps,
    batchSize,
    maxNewTokens: Math.min(room, data.completions ? upTo16(data.completions.most) : usualNewTokens),
    context,
    learningRate: rounded(usualLearningRate(student.parameters, isAdapter ? "adapter" : "weights")),
    warmupSteps: Math.max(1, Math.round(warmup * steps)),
    holdOut,
    metric: data.numeric ? "numeric" : (data.references?.median ?? 0) > longReference ? "rouge_l" : "",
    trained,
  };
}

const upTo16 = (tokens: number): number => Math.ceil(tokens / 16) * 16;

/** To two digits. */
const rounded = (rate: number): number => Number(rate.toExponential(1));
