// Dimensions: B batch, T position, F hidden units of the feed-forward part.
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { Activation, ModelConfig } from "../config/model-config.js";
import type { LinearLayout } from "../param-spec.js";
import type { Pass, Residual } from "./pass.js";
import type { SelfAttention } from "./self-attention.js";

/** A value times a number. */
export const scaled = (x: Value, factor: number): Value => (factor === 1 ? x : op.mul(x, factor));

const bends: Readonly<Record<Activation, (x: Value) => Value>> = {
  gelu: op.gelu,
  geluTanh: op.geluTanh,
  relu: op.relu,
  relu2: (x) => squared(op.relu(x)),
  silu: op.silu,
};

const squared = (x: Value): Value => op.mul(x, x);

/** A model's activation of x. */
export const activated = ({ activation }: ModelConfig, x: Value): Value => bends[activation](x);

/** down·(act(gate·x) ∘ up·x) */
export function gatedFeedForward(pass: Pass, name: string, x: Value): Value {
  return gatedBy(pass, [`${name}.gate_proj`, `${name}.up_proj`, `${name}.down_proj`], x);
}

/** The same of linears with these names. */
export function gatedBy(pass: Pass, [gate, up, down]: readonly [gate: string, up: string, down: string], x: Value): Value {
  const gate_BTF = activated(pass.config, pass.linear(gate, x));
  return pass.linear(down, op.mul(gate_BTF, pass.linear(up, x)));
}

/** down·act(up·x), with the biases that these have. */
export const plainFeedForward = (pass: Pass, [up, down]: readonly [up: string, down: string], x: Value, layout?: LinearLayout): Value =>
  pass.linear(down, activated(pass.config, pass.linear(up, x, layout)), layout);

/** What a layer is made of, beside its attention. */
export interface TwoParts {
  /** Norm of what the attention reads. */
  readonly first: string;
  /** Norm of what the feed-forward part reads; where both parts are side by side it may be the first. */
  readonly second: string;
  readonly feedForward: (x: Value) => Value;
}

/**
 * One layer: attention, then the feed-forward part on what that gave; or, in a parallel model, both on the same stream. What
 * each adds is multiplied with the model's residualScale.
 */
export function twoParts(pass: Pass, x: Residual, attention: SelfAttention, { first, second, feedForward }: TwoParts): void {
  const { parallel, residualScale } = pass.config;
  const normed = x.norm(first);
  if (!parallel) {
    x.add(scaled(pass.attention(attention, normed), residualScale));
    x.add(scaled(feedForward(x.norm(second)), residualScale));
    return;
  }
  const beside = second === first ? normed : x.norm(second);
  x.add(scaled(pass.attention(attention, normed), residualScale));
  x.add(scaled(feedForward(beside), residualScale));
}
