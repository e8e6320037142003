import { factorSpecs } from "./adapter/layers.js";
import type { ModelConfig } from "./config/model-config.js";
import type { Lora } from "./lora.js";
import { parameterCount } from "./model-params.js";
import { elementsOf } from "./param-spec.js";
import { type WeightDtype, weightDtypes } from "./precision/weight-dtypes.js";

/** Bytes of one weight; int8's scales among them. */
const weightBytes: Readonly<Record<WeightDtype, number>> = { float32: 4, float16: 2, bfloat16: 2, int8: 1.125 };

/** What weights take, in memory or in a file, in bytes. @param dtype one that is unknown is float32 */
export const bytesOfWeights = (parameters: number, dtype: string | undefined): number => weightBytes[knownDtype(dtype)] * parameters;

/** An element type by its name; a teacher elsewhere may have a name of its own for one: that is float32 here. */
export const knownDtype = (dtype: string | undefined): WeightDtype => weightDtypes.find((one) => one === dtype) ?? "float32";

/** What a role's process holds without a model, in bytes. */
const processBytes = 1.3e8;

/** Arrays of logits that a forward has at once, and the most elements of each; on a GPU more are made at once. */
const [logitArrays, mostLogits, mostLogitsOnGpu] = [4, 2 ** 23, 2 ** 26];

/** Arrays of logits that a learner's step has at once, and the most elements of each. */
const [learnerArrays, mostLearnerLogits] = [3, 2 ** 25];

/** How much longer arrays of keys and values may be than what they hold: they grow in steps. */
const cacheGrowth = 1.5;

/** Bytes of a weight, its gradient and its two moments in float32, and of its average, where one is kept. */
const trainedBytes = 16;
const averageBytes = 4;

/**
 * What a teacher or a student is expected to hold at most, in bytes: within a fifth of what was measured with models of 135M and 600M
 * parameters. Pages of its files that the system may take back are not among it.
 *
 * @param isOnGpu where what it holds is memory of the device; not measured there
 */
export function inferenceBytes(parameters: number, vocabSize: number, dtype: WeightDtype, isOnGpu = false): number {
  const logits = isOnGpu ? Math.min(mostLogitsOnGpu, 2 ** 14 * vocabSize) : Math.min(mostLogits, 512 * vocabSize);
  return processBytes + 1.15 * weightBytes[dtype] * parameters + 4 * logitArrays * logits;
}

/** Rows that are written together, and what is kept of them. */
export interface CachedRows {
  readonly rows: number;
  /** Tokens of the longest, its prompt's among them. */
  readonly length: number;
  readonly dtype: "float16" | "float32";
}

/** What a student keeps on its device of what rows have read, in bytes at most: keys and values of each layer, and of one layer more. */
export const cacheBytes = ({ layers, kvHeads, headDim }: ModelConfig, { rows, length, dtype }: CachedRows): number =>
  cacheGrowth * 2 * (layers + 1) * kvHeads * headDim * weightBytes[dtype] * rows * length;

/** What is trained of a model, and on how much at once. */
export interface TrainingLoad {
  /** Tokens of a micro-batch. */
  readonly tokens: number;
  /** Tokens of a sequence. */
  readonly length: number;
  readonly gradientCheckpointing: boolean;
  /** An adapter that is trained instead of the weights, and what these are held in. */
  readonly lora?: Lora | undefined;
  readonly baseDtype?: WeightDtype;
  /** Whether an average of what is trained is kept. */
  readonly averaged?: boolean;
  /** Whether products are computed in half precision: what they multiply is there once more, in two bytes. */
  readonly halfProducts?: boolean;
}

/** What a learner is expected to hold at most, in bytes; as {@link inferenceBytes}. */
export function learnerBytes(config: ModelConfig, load: TrainingLoad): number {
  const { tokens, length, gradientCheckpointing, lora, baseDtype = "float32", averaged = false, halfProducts = false } = load;
  const { vocabSize, hiddenSize } = config;
  const all = parameterCount(config);
  const each = trainedBytes + (averaged ? averageBytes : 0);
  const weights = lora ? weightBytes[baseDtype] * all + each * elementsOf(factorSpecs(config, lora)) : each * all;
  // Of the head's gradient there are two, and of a block the student's logits, their gradient and the teacher's logits.
  const head = 8 * vocabSize * hiddenSize + 4 * learnerArrays * Math.min(mostLearnerLogits, tokens * vocabSize);
  const rounded = halfProducts ? weightBytes.float16 * all : 0;
  return processBytes + weights + rounded + tokens * activationBytes(config, { length, gradientCheckpointing, halfProducts }) + head;
}

/**
 * Most tokens of a micro-batch where nothing else is asked for: as many as have activations of 0.7 GB, or of 3 bytes for each parameter, if
 * that is more. More at once is a little faster (a twelfth at 135M parameters, 768 tokens instead of 384), and takes memory with it.
 *
 * @param length tokens of the longest sequence
 */
export function microBatchTokensFor(config: ModelConfig, length: number, gradientCheckpointing: boolean, halfProducts = false): number {
  const most = Math.max(0.7e9, 3 * parameterCount(config));
  return Math.max(length, Math.floor(most / activationBytes(config, { length, gradientCheckpointing, halfProducts })));
}

/** Bytes that are kept of a token for the backward pass. */
function activationBytes(
  config: ModelConfig,
  { length, gradientCheckpointing, halfProducts = false }: Omit<TrainingLoad, "tokens">,
): number {
  const { layers, hiddenSize } = config;
  const halves = halfProducts ? weightBytes.float16 * factorsPerToken(config, length) : 0;
  const made = 4 * floatsMade(config, length) + halves;
  if (gradientCheckpointing) return 4 * layers * hiddenSize + made;
  return layers * (4 * floatsKept(config) + halves) + made;
}

/**
 * Numbers that a layer keeps of a token for the backward pass: what norms read, queries, keys, values, what attention gives, and the
 * hidden units' two factors. Norms, attention's probabilities and what is made of the factors are computed again.
 */
function floatsKept(config: ModelConfig): number {
  const { hiddenSize, heads, kvHeads, headDim } = config;
  return 2 * hiddenSize + 2 * (heads + kvHeads) * headDim + 2 * hiddenUnits(config);
}

/** Numbers that a layer has of a token while its backward pass is computed: {@link floatsKept}, norms, scores, probabilities and products among them. */
function floatsMade(config: ModelConfig, length: number): number {
  return floatsKept(config) + 4 * config.hiddenSize + 2 * config.heads * length + hiddenUnits(config);
}

/** Hidden units that a token passes through in a layer. */
const hiddenUnits = ({ intermediateSize, experts }: ModelConfig): number =>
  experts ? experts.perToken * experts.hiddenSize : intermediateSize;

/** Numbers of a token that a layer's products multiply: norms, queries, keys, values, probabilities, what attention gives, hidden units. */
function factorsPerToken(config: ModelConfig, length: number): number {
  const { hiddenSize, heads, kvHeads, headDim } = config;
  return 2 * hiddenSize + 2 * (heads + kvHeads) * headDim + heads * length + hiddenUnits(config);
}
