import type { Json } from "./fields.js";

/** Keys that transformers takes as numbers with a point only. */
const floats = [
  ...["attn_logit_softcapping", "clip_qkv", "factor", "final_logit_softcapping", "init_std", "initializer_factor", "initializer_range"],
  ...["layer_norm_eps", "layer_norm_epsilon", "logit_scale", "norm_eps", "norm_epsilon", "rms_norm_eps", "rope_local_base_freq"],
  ...["rope_theta", "router_aux_loss_coef", "router_jitter_noise"],
];

const whole = new RegExp(`^( *"(?:${floats.join("|")})": -?\\d+)(?=,?$)`, "gm");

/** A config.json's text. A whole number that transformers 5 wants as a float is written as one: 30.0, which JSON calls the same. */
export const configText = (config: Json): string => `${JSON.stringify(config, null, 2).replace(whole, "$1.0")}\n`;
