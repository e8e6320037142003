import type { Rule } from "./rule.js";
import { elementwiseRules } from "./rules/elementwise.js";
import { fusedRules } from "./rules/fused.js";
import { linearRules } from "./rules/linear.js";
import { reduceRules } from "./rules/reduce.js";
import { shapeRules } from "./rules/shape.js";

/** Operators through which a gradient flows. */
export const differentiableOps = [
  "Abs",
  "Add",
  "Cast",
  "Concat",
  "CumSum",
  "Div",
  "Erf",
  "Exp",
  "Expand",
  "FusedMatMul",
  "Gather",
  "GatherElements",
  "LayerNormalization",
  "Log",
  "LogSoftmax",
  "MatMul",
  "Max",
  "Min",
  "Mul",
  "Neg",
  "Pow",
  "QuickGelu",
  "ReduceMax",
  "ReduceMean",
  "ReduceMin",
  "ReduceSum",
  "ReduceSumSquare",
  "Relu",
  "Reshape",
  "RotaryEmbedding",
  "ScatterElements",
  "Sigmoid",
  "SimplifiedLayerNormalization",
  "Slice",
  "Softmax",
  "Split",
  "Sqrt",
  "Squeeze",
  "Sub",
  "Tanh",
  "TopK",
  "Transpose",
  "Trilu",
  "Unsqueeze",
  "Where",
] as const;

/** Operators whose result is constant almost everywhere, or an integer or a truth value: no gradient flows through them. */
export const nonDifferentiableOps = [
  "And",
  "ArgMax",
  "ConstantOfShape",
  "Equal",
  "Greater",
  "GreaterOrEqual",
  "Less",
  "LessOrEqual",
  "Not",
  "Range",
  "Shape",
  "Sign",
  "StopGradient",
] as const;

/** One of the operators through which a gradient flows. */
export type DifferentiableOp = (typeof differentiableOps)[number];

/** The derivative of every differentiable operator. Total: an operator without a rule does not compile. */
export const rules: { readonly [Op in DifferentiableOp]: Rule } = {
  ...elementwiseRules,
  ...fusedRules,
  ...linearRules,
  ...reduceRules,
  ...shapeRules,
};
