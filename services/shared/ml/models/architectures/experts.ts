import { found } from "../../../base/found.js";
import type { Value } from "../../graph/graph.js";
import type { ModelConfig } from "../config/model-config.js";
import { routedFeedForward } from "../forward/experts.js";
import { gatedBy } from "../forward/feed-forward.js";
import type { Pass } from "../forward/pass.js";
import type { ParamSpec } from "../param-spec.js";
import type { Piece } from "./architecture.js";
import { linear } from "./params.js";

/** What a family calls the linears of an expert. */
export interface ExpertNames {
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

/**
 * The weights of a router and its experts, as files hold them: NAME.gate, NAME.experts.0.GATE and so on. They are no linear
 * layers to an adapter: PEFT adapts the experts of a layer as one parameter.
 */
export function expertParams({ hiddenSize: d, experts }: ModelConfig, name: string, { gate, up, down }: ExpertNames): ParamSpec[] {
  const { count, hiddenSize: f } = found(experts, "the model's experts");
  const each = Array.from({ length: count }, (_, e) => `${name}.experts.${e}`).flatMap((expert) => [
    ...linear(`${expert}.${gate}`, f, d, false),
    ...linear(`${expert}.${up}`, f, d, false),
    ...linear(`${expert}.${down}`, d, f, false),
  ]);
  return [...linear(`${name}.gate`, count, d, false), ...each].map(({ linear: _, ...spec }) => spec);
}

/** A router and its experts on x [B, T, D]. */
export function expertsOf(pass: Pass, name: string, { gate, up, down }: ExpertNames, x: Value): Value {
  const experts = found(pass.config.experts, "the model's experts");
  const expert = (e: number, given: Value) => {
    const own = `${name}.experts.${e}`;
    return gatedBy(pass, [`${own}.${gate}`, `${own}.${up}`, `${own}.${down}`], given);
  };
  return routedFeedForward(pass, experts, { router: `${name}.gate`, expert }, x);
}

/**
 * The experts' weights in a tensor that holds those of all experts of a layer, as transformers 5 computes with them:
 * NAME.experts.gate_up_proj [E, 2F, D] and NAME.experts.down_proj [E, D, F]. Undefined for another tensor.
 */
export function stackedExperts({ gate, up, down }: ExpertNames) {
  return (name: string, [count = 0, rows = 0, columns = 0]: readonly number[], { experts }: ModelConfig): Piece[] | undefined => {
    const [, stem, kind] = /^(.*\.experts)\.(gate_up_proj|down_proj)$/.exec(name) ?? [];
    if (stem === undefined || count !== experts?.count) return undefined;
    const parts = kind === "down_proj" ? [down] : [gate, up];
    const dims = [rows / parts.length, columns];
    return Array.from({ length: count }, (_, e) => parts.map((part) => ({ name: `${stem}.${e}.${part}.weight`, dims }))).flat();
  };
}
