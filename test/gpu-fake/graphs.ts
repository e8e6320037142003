import type { Graph } from "../../services/shared/ml/graph/graph.js";
import { objectiveProblems } from "../../services/shared/ml/losses/objective.js";
import { type ObjectiveName, permits } from "../../services/shared/ml/losses/permits.js";
import { architectureOf } from "../../services/shared/ml/models/architectures/table.js";
import type { ModelConfig } from "../../services/shared/ml/models/config/model-config.js";
import { fusedObstacle } from "../../services/shared/ml/models/fused-states.js";
import type { Model } from "../../services/shared/ml/models/model.js";
import { weightsAt } from "../../services/shared/ml/models/precision/dtype.js";
import { wholeModel } from "../../services/shared/ml/models/trainable.js";
import { readGraph, stepGraph } from "../../services/shared/ml/sampling/bursts/burst-graphs.js";
import { decodeGraph } from "../../services/shared/ml/sampling/decode-graph.js";
import { drawKindOf } from "../../services/shared/ml/sampling/draw.js";
import { encodeGraph } from "../../services/shared/ml/sampling/encode-graph.js";
import { scoreGraph } from "../../services/shared/ml/scoring/score-graph.js";
import { type SignalKind, signalKinds } from "../../services/shared/ml/signals/table.js";
import { accumulateGraph, gradientsGraph, valuesGraph } from "../../services/shared/ml/training/step-graph.js";
import { plainObjective } from "../support/loss/loss.js";
import { smallConfigs, smallModel } from "../support/models/small-model.js";
import { smallT5, t5Configs } from "../support/models/small-t5.js";

/** What a graph is for. */
export type Work = "score" | "half score" | "decode" | "burst" | "train";

/** A graph that Retort makes. */
export interface NamedGraph {
  readonly work: Work;
  readonly name: string;
  readonly build: () => Graph;
}

/** Every graph of every family, and of one family every signal and every objective: small, of the form that large ones have. */
export function everyGraph(): NamedGraph[] {
  const families = [
    ...Object.entries(smallConfigs).map(([name, config]) => [name, smallModel(config)] as const),
    ...Object.entries(t5Configs).map(([name, config]) => [name, smallT5(config)] as const),
  ].filter(([, { config }]) => !config.experts);
  return [...families.flatMap(([name, model]) => ofFamily(name, model)), ...ofObjectives(smallModel())];
}

/** In float16, in which CUDA has the kernel of attention. */
function inBursts(name: string, config: ModelConfig): NamedGraph[] {
  if (fusedObstacle(config)) return [];
  const drawn = { temperature: 1, topK: 0, topP: 1 };
  const graphs = { step: stepGraph, read: readGraph };
  return Object.entries(graphs).map(([what, build]) => ({
    ...{ work: "burst" as const, name: `${name}, ${what}` },
    build: () => build({ config, lora: undefined, dtype: "float16", draw: drawKindOf(drawn, config.vocabSize), topIds: 2 }),
  }));
}

/** By fused operators in half precision, with weights that are held so; of rows in blocks, as large batches are. */
function inHalf(name: string, { config, params }: Model, kinds: readonly SignalKind[]): NamedGraph[] {
  if (fusedObstacle(config)) return [];
  return (["float16", "bfloat16"] as const).flatMap((fused) =>
    kinds.map((kind) => ({
      ...{ work: "half score" as const, name: `${name}, ${kind}, ${fused}` },
      build: () => scoreGraph({ config, weights: weightsAt(config, params, fused).weights, signal: { kind }, fused, blocks: true }),
    })),
  );
}

function ofFamily(name: string, model: Model): NamedGraph[] {
  const { config, params: weights } = model;
  const encoder = architectureOf(config).encoder;
  const step = { config, trainable: wholeModel(config), objective: plainObjective };
  return [
    { work: "score", name, build: () => scoreGraph({ config, weights, signal: { kind: "full" } }) },
    ...inHalf(name, model, ["top_k"]),
    { work: "decode", name, build: () => decodeGraph({ config, weights, fused: false }) },
    ...(encoder
      ? [{ work: "decode" as const, name: `${name}, prompts`, build: () => encodeGraph({ config, weights }, encoder) }]
      : [
          ...inBursts(name, config),
          { work: "decode" as const, name: `${name}, fused`, build: () => decodeGraph({ config, weights: "inputs", fused: true }) },
        ]),
    { work: "train", name, build: () => gradientsGraph({ ...step, blocks: false }) },
    { work: "train", name: `${name}, values`, build: () => valuesGraph({ ...step, blocks: false }) },
    ...(["float16", "bfloat16"] as const).map((computeDtype) => ({
      ...{ work: "train" as const, name: `${name}, ${computeDtype}, in blocks` },
      build: () => accumulateGraph({ ...step, blocks: true, gradientCheckpointing: true, computeDtype }),
    })),
    { work: "train", name: `${name}, in blocks`, build: () => accumulateGraph({ ...step, blocks: true, gradientCheckpointing: true }) },
  ];
}

/** Every signal, and every objective over every signal that it can be computed from. */
function ofObjectives(model: Model): NamedGraph[] {
  const { config, params: weights } = model;
  const scores = signalKinds.map((kind) => ({
    ...{ work: "score" as const, name: `signal ${kind}` },
    build: () => scoreGraph({ config, weights, signal: { kind, ...(kind === "hidden" ? { hiddenDtype: "float16" as const } : {}) } }),
  }));
  const objectives = (Object.keys(permits) as ObjectiveName[])
    .flatMap((divergence) => signalKinds.map((signal) => ({ ...plainObjective, divergence, signal, k: 8 })))
    .filter((objective) => objectiveProblems(objective, config.vocabSize).length === 0);
  const steps = objectives.map((objective) => ({
    ...{ work: "train" as const, name: `${objective.divergence} by ${objective.signal}` },
    build: () => gradientsGraph({ config, trainable: wholeModel(config), objective, blocks: false }),
  }));
  return [...scores, ...inHalf("signal", model, signalKinds), ...steps];
}
