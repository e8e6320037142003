import { type DecoderDefaults, decoderConfig, spellOneRope } from "../config/decoder-config.js";
import { layerNormed } from "../config/keys.js";
import { slidesByPattern, slidingLayers, type Windows } from "../config/windows.js";
import type { Architecture } from "./architecture.js";
import { cohere, cohereDefaults, cohereTraits } from "./cohere.js";

/** Every fourth layer sees all. */
const windows: Windows = { sizeByDefault: 4096, slides: slidesByPattern(4), typed: true };

const defaults: DecoderDefaults = { ...cohereDefaults, windows };

/** Command R7B and Command A (2024): a Command-R whose layers slide, but for every fourth, which sees all and is not rotated. */
export const cohere2: Architecture = {
  ...cohere,
  className: "Cohere2",
  models: "Command R7B, Command A",
  keys: {
    // Keys of the first release, which say what its class does.
    agreeing: {
      ...layerNormed,
      order_of_interleaved_layers: ["local_attn_first"],
      position_embedding_type: ["rope_gptj"],
      use_embedding_sharing: [true],
      use_gated_activation: [true],
      use_parallel_block: [true],
    },
    read: ["_sliding_window_pattern", "layer_norm_eps", "layer_switch", "logit_scale", "sliding_window_pattern"],
    unread: ["rms_norm_eps"],
    denying: /^use_(gated_activation|parallel_block)$/,
  },
  spell: spellOneRope(defaults),
  parse(read) {
    const slides = slidingLayers(read, windows, read.size("num_hidden_layers"));
    if (slides.includes(true) && read.has("sliding_window") && read.get("sliding_window") === undefined)
      throw read.refused("sliding_window", "a positive whole number");
    const config = decoderConfig(read, defaults, cohereTraits(read));
    const layerKinds = config.layerKinds.map((kind, layer) => (slides[layer] ? kind : { ...kind, rotary: undefined }));
    return { ...config, layerKinds };
  },
};
