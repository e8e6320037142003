// Dimensions: B batch, T position, F hidden units of the feed-forward part.
import type { Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import type { Activation, ModelConfig } from "../config/model-config.js";
import type { LinearLayout } from "../param-spec.js";
import type { Pass } from "./pass.js";

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
  const gate_BTF = activated(pass.config, pass.linear(`${name}.gate_proj`, x));
  return pass.linear(`${name}.down_proj`, op.mul(gate_BTF, pass.linear(`${name}.up_proj`, x)));
}

/** down·act(up·x), with the biases that these have. */
export const plainFeedForward = (pass: Pass, [up, down]: readonly [up: string, down: string], x: Value, layout?: LinearLayout): Value =>
  pass.linear(down, activated(pass.config, pass.linear(up, x, layout)), layout);
