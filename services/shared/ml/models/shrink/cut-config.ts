import { isDeepStrictEqual } from "node:util";
import { RetortError } from "../../../base/errors.js";
import { architectureOf } from "../architectures/table.js";
import { Fields, type Json } from "../config/fields.js";
import type { LayerKind, ModelConfig } from "../config/model-config.js";
import { parseConfig } from "../parse-config.js";
import type { KeptLayers } from "./kept-layers.js";

/** Keys by which a layer's place decides what it is; they go where a list says it instead. */
const patterns = ["sliding_window_pattern", "_sliding_window_pattern", "no_rope_layer_interval", "decoder_sparse_step"];

/**
 * The config.json of a model of which some layers stay: as it came, but for the keys that count layers or speak of each. Every
 * layer computes what it did before: where a pattern decides by its place, a list takes the pattern's stead.
 *
 * @param file names the config in errors
 * @throws InvalidArgument naming the keys that go by a layer's place and that nothing can be written for
 */
export function cutConfig(raw: Json, kept: KeptLayers, file: string): Json {
  const whole = parseConfig(raw, {}, file);
  const wanted = cutModel(whole, kept);
  const counted = { ...raw, ...counts(raw, whole, kept), ...lists(raw, whole, kept) };
  for (const spelled of [counted, ...writtenOut(counted, wanted)]) if (says(spelled, wanted, file)) return spelled;
  const keys = [...patterns, "scale_attn_by_inverse_layer_idx", "max_window_layers", "layer_types"].filter((key) => raw[key] !== undefined);
  const which = keys.length ? keys.map((key) => `${key} is ${JSON.stringify(raw[key])}`).join(", ") : `model_type is ${raw.model_type}`;
  throw new RetortError(
    "InvalidArgument",
    `${file}: ${which}: what a layer computes goes by its place, and its config has no words for layers ${kept.layers.join(", ")} as they are; keep the first ones alone (--keep 0-${kept.layers.length - 1})`,
  );
}

/** The model that is left, as its config is to be read. */
function cutModel(config: ModelConfig, { layers, encoderLayers }: KeptLayers): ModelConfig {
  const { experts, encoderDecoder } = config;
  const inLayer = layers.map((layer) => experts?.inLayer[layer] ?? false);
  return {
    ...config,
    layers: layers.length,
    layerKinds: layers.flatMap((layer) => config.layerKinds[layer] ?? []),
    ...(experts ? { experts: { ...experts, inLayer } } : {}),
    ...(encoderDecoder ? { encoderDecoder: { ...encoderDecoder, encoderLayers: encoderLayers.length } } : {}),
  };
}

/** The keys that say how many layers there are, under every name that the config has for them. */
function counts(raw: Json, config: ModelConfig, { layers, encoderLayers }: KeptLayers): Json {
  const [own, alias] = ["num_hidden_layers", architectureOf(config).aliases?.num_hidden_layers];
  const present = [own, alias].filter((key) => key !== undefined && key in raw);
  const count = config.encoderDecoder ? encoderLayers.length : layers.length;
  const named = (present.length ? present : [alias ?? own]).map((key) => [key, count]);
  return { ...Object.fromEntries(named), ...(config.encoderDecoder ? { num_decoder_layers: layers.length } : {}) };
}

/** `max_window_layers` where a config has none, in the families that read it. */
const usualFirstWindow = 28;

/** The keys that speak of every layer, or name some by their place. */
function lists(raw: Json, config: ModelConfig, { layers }: KeptLayers): Json {
  const read = new Fields(raw, "");
  const cut: Record<string, unknown> = {};
  for (const key of ["layer_types", "no_rope_layers"]) {
    const list = read.get(key);
    if (Array.isArray(list) && list.length >= config.layers) cut[key] = layers.map((layer) => list[layer] as unknown);
  }
  const first = raw.max_window_layers ?? (raw.use_sliding_window === true ? usualFirstWindow : undefined);
  // Layers slide from this one on; what stays keeps its order.
  if (typeof first === "number" && ("max_window_layers" in raw || config.layers > first))
    cut.max_window_layers = layers.filter((layer) => layer < first).length;
  if (Array.isArray(read.get("mlp_only_layers"))) {
    const plain = new Set(read.ids("mlp_only_layers"));
    cut.mlp_only_layers = layers.flatMap((layer, i) => (plain.has(layer) ? [i] : []));
  }
  return cut;
}

/** The config with lists in the stead of patterns: which layers rotate, slide and have experts. */
function* writtenOut(counted: Json, wanted: ModelConfig): Generator<Json> {
  const { read = [] } = architectureOf(wanted).keys;
  const base = Object.fromEntries(Object.entries(counted).filter(([key]) => !patterns.includes(key)));
  const kinds = wanted.layerKinds;
  if (read.includes("no_rope_layers")) base.no_rope_layers = kinds.map(({ rotary }) => (rotary ? 1 : 0));
  if (read.includes("mlp_only_layers"))
    base.mlp_only_layers = (wanted.experts?.inLayer ?? []).flatMap((has, layer) => (has ? [] : [layer]));
  yield base;
  const typed = (slides: (kind: LayerKind) => boolean): Json => ({
    ...base,
    layer_types: kinds.map((kind) => (slides(kind) ? "sliding_attention" : "full_attention")),
  });
  yield typed(({ window }) => window !== undefined);
  // No text is longer than the window; such layers differ in how they are rotated alone.
  yield typed(({ rotary }) => isDeepStrictEqual(rotary, kinds[0]?.rotary));
  yield typed(({ rotary }) => !isDeepStrictEqual(rotary, kinds[0]?.rotary));
}

/** Whether a config is read as that model. */
function says(raw: Json, wanted: ModelConfig, file: string): boolean {
  try {
    return isDeepStrictEqual(parseConfig(raw, {}, file), wanted);
  } catch (error) {
    if (error instanceof RetortError && error.code === "InvalidArgument") return false;
    throw error;
  }
}
