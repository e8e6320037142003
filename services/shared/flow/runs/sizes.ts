import type { Problem } from "../../base/errors.js";
import type { InitSpec } from "../../gen/retort/v1/run_spec_pb.js";
import type { Phase, ResolvedRun } from "./resolve.js";

/** Most optimiser steps of a run, over all its phases. */
export const mostSteps = 1e8;

/** Most sequences of one step or evaluation, and of all its prompts. */
export const mostSequences = 2 ** 20;

/** Most completion tokens of one step: the learner holds a step's records at once, 16 bytes per token (24 GiB at this). */
const mostTokens = 1.5 * 2 ** 30;

/** Bytes per parameter of a model that is trained: weight, gradient and two moments, float32. */
const trainedBytes = 16;

/** Most bytes that training a model from scratch may take. */
const mostModelBytes = 2 ** 41;

/**
 * What is too large for any machine although each of its numbers is within bounds: steps, sequences and tokens of a step,
 * sequences of an evaluation. Each names the product and the limit.
 */
export function sizeProblems(run: ResolvedRun): Problem[] {
  const { evaluation } = run;
  const measured = evaluation
    ? product("evaluation", [
        [evaluation.holdOut || evaluation.limit, "rows"],
        [evaluation.samplesPerPrompt, "samplesPerPrompt"],
        [evaluation.temperatures.length, "temperatures"],
      ])
    : [];
  const steps =
    run.totalSteps > mostSteps
      ? [{ fieldPath: "phases", description: `have ${run.totalSteps} steps together; a run may have ${mostSteps}` }]
      : [];
  return [...steps, ...run.phases.flatMap(phaseProblems), ...measured];
}

function phaseProblems({ batchSize, samplesPerPrompt, sampling: { maxNewTokens } }: Phase, i: number): Problem[] {
  const field = `phases[${i}]`;
  const many = product(field, [
    [batchSize, "batchSize"],
    [samplesPerPrompt, "samplesPerPrompt"],
  ]);
  const tokens = batchSize * samplesPerPrompt * maxNewTokens;
  if (many.length || tokens <= mostTokens) return many;
  const factors = `${batchSize} (batchSize) × ${samplesPerPrompt} (samplesPerPrompt) × ${maxNewTokens} (sampling.maxNewTokens)`;
  const description = `a step would be of ${factors} = ${tokens} tokens, ${inGiB(tokens * 16)} GiB of records for its learner to hold; at most ${mostTokens} tokens can be had: use smaller ones`;
  return [{ fieldPath: field, description }];
}

function product(fieldPath: string, factors: readonly (readonly [number, string])[]): Problem[] {
  const sequences = factors.reduce((all, [factor]) => all * factor, 1);
  if (sequences <= mostSequences) return [];
  const shown = factors.map(([factor, name]) => `${factor} (${name})`).join(" × ");
  return [{ fieldPath, description: `${shown} = ${sequences} sequences at once; at most ${mostSequences} can be had: use smaller ones` }];
}

/**
 * How many parameters a model from scratch has, without its norms and biases.
 *
 * @param rows of its vocabulary; 0 counts the layers alone
 */
export function parametersOf({ hiddenSize, intermediateSize, layers, heads, kvHeads, headDim, tieWordEmbeddings }: InitSpec, rows: number) {
  const dim = headDim || hiddenSize / heads;
  const attention = 2 * hiddenSize * dim * (heads + (kvHeads || heads));
  const embeddings = rows * hiddenSize * ((tieWordEmbeddings ?? true) ? 1 : 2);
  return layers * (attention + 3 * hiddenSize * intermediateSize) + embeddings;
}

/** What is wrong with the size of a model from scratch. @param rows of its vocabulary, as far as they are known; else 0 */
export function initProblems(init: InitSpec, rows: number): Problem[] {
  const parameters = parametersOf(init, rows);
  const bytes = parameters * trainedBytes;
  if (bytes <= mostModelBytes) return [];
  const description = `makes a model of ${parameters.toExponential(2)} parameters, whose training takes ${inGiB(bytes)} GiB (weights, gradients and two moments in float32); at most ${inGiB(mostModelBytes)} GiB can be had: take fewer layers, or narrower ones`;
  return [{ fieldPath: "student.init", description }];
}

const inGiB = (bytes: number): string => (bytes / 2 ** 30).toFixed(0);
