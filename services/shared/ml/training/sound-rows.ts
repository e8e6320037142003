// Dimensions: N completion tokens of a sequence, V vocabulary.
import { Graph } from "../graph/graph.js";
import * as op from "../graph/ops/index.js";
import { float32 } from "../graph/tensor.js";
import { floatsOf } from "../runtime/outputs.js";
import type { Session } from "../runtime/session.js";
import { isDistribution } from "../signals/checks.js";
import type { TrainSequence } from "./batch.js";

/** The masses and the largest elements of rows of log-probabilities: input logprobs [N, V], outputs mass and largest [N]. */
export function massesGraph(): Graph {
  const graph = new Graph("masses");
  const logprobs_NV = graph.input("logprobs", "float32", ["N", "V"]);
  graph.output("mass", op.reduceSum(op.exp(logprobs_NV), [1]));
  graph.output("largest", op.reduceMax(logprobs_NV, [1]));
  return graph;
}

/**
 * The members of a batch whose whole distributions are such, found with all threads: of a step these are as many numbers as there are
 * logits. What is wrong with the others is found when they are laid out.
 */
export async function soundRows(batch: readonly TrainSequence[], vocab: number, session: Session): Promise<ReadonlySet<number>> {
  const sound = new Set<number>();
  for (const [member, { score }] of batch.entries()) {
    const full = score?.full;
    if (!full?.length || full.length % vocab > 0) continue;
    const outputs = await session.run({ logprobs: float32(full, [full.length / vocab, vocab]) });
    const [masses, largest] = [floatsOf(outputs, "mass"), floatsOf(outputs, "largest")];
    if (masses.every((mass, n) => isDistribution(mass, largest[n]!))) sound.add(member);
  }
  return sound;
}
