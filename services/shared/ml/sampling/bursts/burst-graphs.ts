// Dimensions: B rows that draw, P distinct prompts, T tokens of the longest, S positions that a cache has room for, V vocabulary,
// G key/value heads, E head size.
import { Graph, type Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { ModelConfig } from "../../models/config/model-config.js";
import { FusedPass, type FusedPlace } from "../../models/forward/fused-pass.js";
import { positionsOf } from "../../models/forward/positions.js";
import { hiddenStates, logits } from "../../models/hidden-states.js";
import type { Lora } from "../../models/lora.js";
import type { CacheDtype } from "../cache-dtype.js";
import { drawable } from "../decode-graph.js";
import { cacheName, readName } from "../decode-inputs.js";
import { type DrawKind, declareDrawingOf, drawTokens } from "../draw.js";
import { BurstWeights } from "./burst-weights.js";

/** What the graphs of bursts are built from. */
export interface BurstGraphOptions {
  readonly config: ModelConfig;
  readonly lora: Lora | undefined;
  /** What is computed in, but for logits and what is drawn of them. */
  readonly dtype: CacheDtype;
  readonly draw: DrawKind;
  /** How many of the most probable tokens are reported. */
  readonly topIds: number;
  /** Ids that are never drawn; none if absent. */
  readonly unsampled?: Int32Array | undefined;
}

/** Name of a cache among the outputs of a step. */
export const nextName = (cache: string): string => `next.${cache}`;

/**
 * Prompts are read, and every row draws its first token: rows with one prompt read it once.
 *
 * Inputs: the weights; tokens int64 [P, T], padded behind; last int32 [P], place of each prompt's last token; total int32 [],
 * T; lastOf int64 [B], which of all P·T tokens is a row's last; blockUniforms and tokenUniforms [B, 1] float32 (negated); what
 * `declareDrawingOf` declares.
 *
 * Outputs: ids [B, 1] int64, logprobs and samplingLogprobs [B, 1] float32, mostProbable [B, topIds] int32 where asked; read.k.i and
 * read.v.i [P, G, T, E].
 */
export function readGraph(options: BurstGraphOptions): Graph {
  const { config } = options;
  const graph = new Graph("read");
  const tokens_PT = graph.input("tokens", "int64", ["P", "T"]);
  const place = { positions: () => positionsOf(tokens_PT), ...declareLengths(graph, "P") };
  const { pass, hidden } = hiddenOf(graph, options, place, tokens_PT);
  const hidden_BD = op.gather(op.reshape(hidden, ["tokens", config.hiddenSize]), graph.input("lastOf", "int64", ["B"]));
  draw(graph, options, pass, hidden_BD);
  outputCaches(graph, pass, readName);
  return graph;
}

/**
 * Every row reads the token that it has drawn, and draws the next. Keys and values are written into their places, where the outputs
 * next.k.i and next.v.i are bound to the memory of k.i and v.i [B, G, S, E].
 *
 * Inputs: as of {@link readGraph}, with tokens [B, 1], last [B], how many positions of a row are cached, and total, S. Outputs: as well.
 */
export function stepGraph(options: BurstGraphOptions): Graph {
  const { config, dtype } = options;
  const graph = new Graph("step");
  const tokens_B1 = graph.input("tokens", "int64", ["B", 1]);
  const lengths = declareLengths(graph, "B");
  const shape = ["B", config.kvHeads, "S", config.headDim];
  const past = Array.from({ length: config.layers }, (_, layer) => ({
    k: graph.input(cacheName("k", layer), dtype, shape),
    v: graph.input(cacheName("v", layer), dtype, shape),
  }));
  const positions = () => op.cast(op.unsqueeze(lengths.last_B, [1]), "int64");
  const { pass, hidden } = hiddenOf(graph, options, { ...lengths, positions, past }, tokens_B1);
  draw(graph, options, pass, op.reshape(hidden, ["B", config.hiddenSize]));
  outputCaches(graph, pass, (part, layer) => nextName(cacheName(part, layer)));
  return graph;
}

const declareLengths = (graph: Graph, rows: string) => ({
  last_B: graph.input("last", "int32", [rows]),
  total: graph.input("total", "int32", []),
});

function hiddenOf(graph: Graph, options: BurstGraphOptions, place: FusedPlace, tokens: Value): { pass: FusedPass; hidden: Value } {
  let known: Value | undefined;
  const positions = () => {
    known ??= place.positions();
    return known;
  };
  const { config, lora, dtype } = options;
  const pass = new FusedPass(config, new BurstWeights(graph, config, lora, dtype), { ...place, positions }, options);
  return { pass, hidden: hiddenStates(pass, tokens) };
}

/** Draws in float32. */
function draw(graph: Graph, options: BurstGraphOptions, pass: FusedPass, hidden_BD: Value): void {
  const logits_BV = logits(options.config, pass.weights, hidden_BD);
  const uniforms = {
    block_B1: graph.input("blockUniforms", "float32", ["B", 1]),
    token_B1: graph.input("tokenUniforms", "float32", ["B", 1]),
  };
  const drawn = drawTokens(logits_BV, uniforms, declareDrawingOf(graph, options.draw), drawable(logits_BV, options));
  graph.output("ids", drawn.tokens_B1);
  graph.output("logprobs", drawn.logprobs_B1);
  graph.output("samplingLogprobs", drawn.samplingLogprobs_B1);
  if (options.topIds > 0) graph.output("mostProbable", op.cast(op.topK(logits_BV, options.topIds)[1], "int32"));
}

function outputCaches(graph: Graph, { present }: FusedPass, name: typeof readName): void {
  for (const [layer, { k, v }] of present.entries()) {
    graph.output(name("k", layer), k);
    graph.output(name("v", layer), v);
  }
}
