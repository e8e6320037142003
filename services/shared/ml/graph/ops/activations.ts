import type { Value } from "../graph.js";
import { add, div, erf, mul, pow, tanh } from "./elementwise.js";
import { quickGelu } from "./fused.js";

/** SiLU: x · sigmoid(x). */
export const silu = (x: Value): Value => quickGelu(x, 1);

/** GELU by its tanh approximation, `gelu_pytorch_tanh` of Hugging Face: x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))). */
export function geluTanh(x: Value): Value {
  const inner = mul(add(x, mul(pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}

/** GELU by the error function: x/2 · (1 + erf(x / √2)). */
export const gelu = (x: Value): Value => mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));

/** Holds x within ±cap, smoothly: cap · tanh(x / cap). */
export const softCap = (x: Value, cap: number): Value => mul(tanh(div(x, cap)), cap);
