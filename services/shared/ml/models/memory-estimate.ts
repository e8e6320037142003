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

/** Arrays of logits that a forward has at once, and the most elements of each. */
const [logitArrays, mostLogits] = [4, 2 ** 23];

/** Bytes of a weight, its gradient and its two moments in float32, and of its average, where one is kept. */
const trainedBytes = 16;
const averageBytes = 4;

/**
 * What a teacher or a student is expected to hold at most, in bytes: within a fifth of what was measured with models of 135M and 600M
 * parameters. Pages of its files that the system may take back are not among it.
 */
export const inferenceBytes = (parameters: number, vocabSize: number, dtype: WeightDtype): number =>
  processBytes + 1.15 * weightBytes[dtype] * parameters + 4 * logitArrays * Math.min(mostLogits, 512 * vocabSize);

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
}

/** What a learner is expected to hold at most, in bytes; as {@link inferenceBytes}. */
export function learnerBytes(
  config: ModelConfig,
  { tokens, length, gradientCheckpointing, lora, baseDtype = "float32", averaged = false }: TrainingLoad,
): number {
  const { vocabSize, hiddenSize } = config;
  const all = parameterCount(config);
  const each = trainedBytes + (averaged ? averageBytes : 0);
  const weights = lora ? weightBytes[baseDtype] * all + each * elementsOf(factorSpecs(config, lora)) : each * all;
  // Of the head's gradient there are two, and it goes through the vocabulary block by block.
  const head = 8 * vocabSize * hiddenSize + 4 * logitArrays * Math.min(mostLogits, tokens * vocabSize);
  return processBytes + weights + tokens * activationBytes(config, length, gradientCheckpointing) + head;
}

/**
 * Most tokens of a micro-batch where nothing else is asked for: as many as have activations of 1.05 GB, or of 4 bytes for each parameter, if
 * that is more. More at once is a little faster (a twelfth at 135M parameters, 768 tokens instead of 384), and takes memory with it.
 *
 * @param length tokens of the longest sequence
 */
export function microBatchTokensFor(config: ModelConfig, length: number, gradientCheckpointing: boolean): number {
  const most = Math.max(1.05e9, 4 * parameterCount(config));
  return Math.max(length, Math.floor(most / activationBytes(config, length, gradientCheckpointing)));
}

/** Bytes that are kept of a token for the backward pass. */
function activationBytes(config: ModelConfig, length: number, gradientCheckpointing: boolean): number {
  const { layers, hiddenSize } = config;
  const perLayer = 4 * floatsPerToken(config, length);
  return gradientCheckpointing ? 4 * layers * hiddenSize + perLayer : layers * perLayer;
}

/** Numbers that a layer keeps of a token for the backward pass: norms, projections, probabilities of attention, what hidden units are made of. */
function floatsPerToken({ hiddenSize, intermediateSize, heads, kvHeads, headDim, experts }: ModelConfig, length: number): number {
  const hidden = experts ? experts.perToken * experts.hiddenSize : intermediateSize;
  return 6 * hiddenSize + 2 * (heads + kvHeads) * headDim + 2 * heads * length + 3 * hidden;
}
