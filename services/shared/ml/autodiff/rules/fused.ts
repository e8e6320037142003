import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { floatOf, inputOf, outputOf, type Rule, rule } from "../rule.js";

/** All axes but the last. */
const leadingAxes = (x: Value): number[] => Array.from({ length: x.rank - 1 }, (_, axis) => axis);

/** Derivatives of the operators that do several things in one pass; g is the gradient of the first result y. */
export const fusedRules = {
  // y = x σ(αx): dx = g (σ + α y (1−σ))
  QuickGelu: rule((g, node) => {
    const alpha = floatOf(node, "alpha");
    const x = inputOf(node, 0);
    const gate = op.sigmoid(alpha === 1 ? x : op.mul(x, alpha));
    const slope = op.mul(outputOf(node, 0), op.sub(1, gate));
    return [op.mul(g, op.add(gate, alpha === 1 ? slope : op.mul(slope, alpha)))];
  }),
  // y = x̂ s with x̂ = (x − μ) r, r = 1/deviation: ds = Σ g x̂, dx = r (g s − mean(g s) − x̂ mean(g s x̂))
  LayerNormalization: rule((g, node) => {
    const [x, scale, mean, inverse] = [inputOf(node, 0), inputOf(node, 1), outputOf(node, 1), outputOf(node, 2)];
    const normalised = op.mul(op.sub(x, mean), inverse);
    const product = op.mul(g, normalised);
    const scaled = op.mul(g, scale);
    const centred = op.sub(scaled, op.reduceMean(scaled, [-1], true));
    const along = op.reduceMean(op.mul(product, scale), [-1], true);
    return [op.mul(inverse, op.sub(centred, op.mul(normalised, along))), op.reduceSum(product, leadingAxes(x))];
  }),
  // a rotation: dx is g rotated back
  RotaryEmbedding: rule((g, node) => {
    const [positions, cos, sin] = [inputOf(node, 1), inputOf(node, 2), inputOf(node, 3)];
    const { interleaved, rotary_embedding_dim } = node.attributes as Record<string, number | undefined>;
    const form = { interleaved: interleaved === 1, ...(rotary_embedding_dim === undefined ? {} : { dims: rotary_embedding_dim }) };
    return [op.rotaryEmbedding(g, positions, cos, op.neg(sin), form), undefined, undefined, undefined];
  }),
  // y = x̂ s with x̂ = x r, r = 1/rms: ds = Σ g x̂, dx = r (g s − x̂ mean(g s x̂))
  SimplifiedLayerNormalization: rule((g, node) => {
    const [x, scale, inverseRms] = [inputOf(node, 0), inputOf(node, 1), outputOf(node, 1)];
    const normalised = op.mul(x, inverseRms);
    const product = op.mul(g, normalised);
    const mean = op.reduceMean(op.mul(product, scale), [-1], true);
    return [op.mul(inverseRms, op.sub(op.mul(g, scale), op.mul(normalised, mean))), op.reduceSum(product, leadingAxes(x))];
  }),
} satisfies Record<string, Rule>;
