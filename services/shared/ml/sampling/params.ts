import { RetortError } from "../../base/errors.js";

/** How completions are drawn. */
export interface SamplingParams {
  /** Divides the logits; 0 is greedy. */
  readonly temperature: number;
  /** Keep only the k most probable tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep the smallest set of most probable tokens whose mass reaches topP; 1 keeps all. */
  readonly topP: number;
  readonly maxNewTokens: number;
  /** A completion ends with the first of these, which belongs to it. */
  readonly stopIds: readonly number[];
  /** How many of the most probable tokens to report at each position, in falling order; absent: none. */
  readonly topIds?: number;
}

/** Refuses settings outside their bounds, naming the field and its value. */
export function checkSamplingParams({ temperature, topK, topP, maxNewTokens, topIds = 0 }: SamplingParams, vocab: number): void {
  const refuse = (field: string, value: number, bound: string) => {
    throw new RetortError("InvalidArgument", `sampling.${field} is ${value}; it must be ${bound}`);
  };
  // Below, logits divided by it leave what float32 can hold.
  if (temperature !== 0 && !(temperature >= 1e-3 && temperature <= 1e3))
    refuse("temperature", temperature, "0 (greedy) or lie in [0.001, 1000]");
  if (!(Number.isInteger(topK) && topK >= 0)) refuse("topK", topK, "a whole number, 0 to keep all tokens");
  if (!(topP > 0 && topP <= 1)) refuse("topP", topP, "above 0 and at most 1");
  if (!(Number.isInteger(maxNewTokens) && maxNewTokens >= 1)) refuse("maxNewTokens", maxNewTokens, "a whole number of at least 1");
  if (!(Number.isInteger(topIds) && topIds >= 0 && topIds <= vocab)) refuse("topIds", topIds, `0 to the vocabulary's ${vocab}`);
}

/** Settings that rows must have in common to be written together: all but how long they may become. */
export const drawingKey = ({ temperature, topK, topP, stopIds, topIds }: SamplingParams): string =>
  [temperature, topK, topP, stopIds, topIds ?? 0].join("/");
