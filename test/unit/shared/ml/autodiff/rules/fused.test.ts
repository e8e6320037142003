import { fusedRules } from "../../../../../../services/shared/ml/autodiff/rules/fused.js";
import * as op from "../../../../../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../../../../../services/shared/ml/graph/tensor.js";
import { describeGrads, type GradInput, integers, named, spaced } from "../../../../../support/graph/check-grads.js";

const x = spaced([2, 3, 4], [-2, 2]);
const scale = (width: number) => spaced([width], [0.5, 1.5], 5n);

/** Tables of 6 positions for heads of 4: angles p and p/10. */
const table = (angle: (x: number) => number): GradInput => ({
  tensor: float32(
    Array.from({ length: 12 }, (_, i) => angle(Math.floor(i / 2) * (i % 2 === 0 ? 1 : 0.1))),
    [6, 2],
  ),
  varied: false,
});

describeGrads(fusedRules, {
  LayerNormalization: {
    "a batch": [[x, scale(4)], (a, s) => op.layerNormalization(a, s, 1e-5).y],
    "a matrix": [[spaced([3, 5]), scale(5)], (a, s) => op.layerNormalization(a, s, 1e-6).y],
    "an epsilon that counts": [[x, scale(4)], (a, s) => op.layerNormalization(a, s, 0.5).y],
  },
  QuickGelu: {
    "alpha 1": [[x], (a) => op.quickGelu(a)],
    "alpha 1.702": [[x], (a) => op.quickGelu(a, 1.702)],
    "a small alpha": [[x], (a) => op.quickGelu(a, 0.25)],
    silu: [[x], (a) => op.silu(a)],
  },
  RotaryEmbedding: {
    "two rows at places of their own": [
      [spaced([2, 2, 3, 4]), integers([0, 1, 2, 5, 3, 3], [2, 3]), table(Math.cos), table(Math.sin)],
      (a, places, cos, sin) => op.rotaryEmbedding(a, places, cos, sin),
    ],
    "pairs side by side": [
      [spaced([2, 2, 3, 4]), integers([0, 1, 2, 5, 3, 3], [2, 3]), table(Math.cos), table(Math.sin)],
      (a, places, cos, sin) => op.rotaryEmbedding(a, places, cos, sin, { interleaved: true }),
    ],
    "four channels of six": [
      [spaced([2, 2, 3, 6]), integers([0, 1, 2, 5, 3, 3], [2, 3]), table(Math.cos), table(Math.sin)],
      (a, places, cos, sin) => op.rotaryEmbedding(a, places, cos, sin, { dims: 4 }),
    ],
    "one head, named sizes": [
      [named(spaced([1, 1, 3, 4]), ["B", 1, "T", 4]), named(integers([4, 2, 0], [1, 3]), ["B", "T"]), table(Math.cos), table(Math.sin)],
      (a, places, cos, sin) => op.rotaryEmbedding(a, places, cos, sin),
    ],
  },
  SimplifiedLayerNormalization: {
    "a batch": [[x, scale(4)], (a, s) => op.simplifiedLayerNormalization(a, s, 1e-5)[0]],
    "a matrix": [[spaced([3, 5]), scale(5)], (a, s) => op.simplifiedLayerNormalization(a, s, 1e-6)[0]],
    "an epsilon that counts": [[x, scale(4)], (a, s) => op.simplifiedLayerNormalization(a, s, 0.5)[0]],
    "heads of named sizes": [
      [named(spaced([1, 2, 3, 4]), ["B", "H", "T", 4]), scale(4)],
      (a, s) => op.simplifiedLayerNormalization(a, s, 1e-5)[0],
    ],
  },
});
