import { decoderConfig, spellOneRope } from "../config/decoder-config.js";
import type { Fields } from "../config/fields.js";
import type { Architecture } from "./architecture.js";
import { llama } from "./llama.js";

const family = { maxPositions: 32768, kvHeads: 4, tied: true, ropeTheta: 2e6 };

/** SmolLM3: a Llama some of whose layers do not rotate queries and keys, and may see a window alone. */
export const smollm3: Architecture = {
  ...llama,
  className: "SmolLM3",
  models: "SmolLM 3",
  keys: { agreeing: {}, read: ["no_rope_layers", "no_rope_layer_interval"] },
  spell: spellOneRope(family),
  parse(read) {
    const rotated = rotatedLayers(read);
    const windows = { slides: (layer: number) => !rotated[layer], switched: false, typed: true };
    const bias = read.flag("attention_bias");
    const own = { qkvBias: bias, outputBias: bias, mlpBias: read.flag("mlp_bias") };
    const config = decoderConfig(read, { ...family, windows }, own);
    return { ...config, layerKinds: config.layerKinds.map((kind, layer) => (rotated[layer] ? kind : { ...kind, rotary: undefined })) };
  },
};

/** Which layers rotate: those that no_rope_layers marks with 1, else all but the last of every no_rope_layer_interval. */
function rotatedLayers(read: Fields): boolean[] {
  const layers = read.size("num_hidden_layers");
  const marks = read.get("no_rope_layers");
  if (marks === undefined) {
    const interval = read.size("no_rope_layer_interval", 4);
    return Array.from({ length: layers }, (_, layer) => (layer + 1) % interval !== 0);
  }
  if (!Array.isArray(marks) || marks.length < layers || !marks.every((mark) => mark === 0 || mark === 1))
    throw read.refused("no_rope_layers", `a list for all ${layers} layers: 1 where queries and keys are rotated, else 0`);
  return marks.slice(0, layers).map((mark) => mark === 1);
}
