import type { Architecture } from "./architecture.js";
import { agreeingWithLearnedPositions, gpt2Config, gpt2Form, learnedPositions, unreadWithLearnedPositions } from "./gpt2.js";

/** GPT-BigCode (SantaCoder and StarCoder, Li et al. 2023): a GPT-2 with plain linears, whose heads may share one key and value. */
export const gptBigcode: Architecture = {
  ...gpt2Form("outIn", ({ heads, kvHeads }, name) =>
    kvHeads === heads && heads > 1 ? { kind: "byHead", name } : { kind: "stacked", name, layout: "outIn" },
  ),
  className: "GPTBigCode",
  models: "SantaCoder, StarCoder",
  keys: {
    agreeing: {
      ...agreeingWithLearnedPositions,
      ...{ attention_bias: [true], mlp_bias: [true] },
      ...{ attention_softmax_in_fp32: [true, false], scale_attention_softmax_in_fp32: [true, false] },
    },
    denying: /^(attention|mlp)_bias$/,
    read: [
      ...["activation_function", "layer_norm_epsilon", "multi_query", "n_embd", "n_head", "n_inner", "n_layer", "n_positions"],
      "scale_attn_weights",
    ],
    unread: unreadWithLearnedPositions,
  },
  fresh: ({ intermediate_size, num_key_value_heads, ...others }) => ({
    ...others,
    n_inner: intermediate_size,
    multi_query: num_key_value_heads === 1,
  }),
  parse(read) {
    const shared = read.flag("multi_query", true);
    // transformers goes by multi_query alone, whatever num_key_value_heads says.
    const config = gpt2Config(read, "gelu_pytorch_tanh", 1);
    return learnedPositions({ ...config, kvHeads: shared ? 1 : config.heads }, read);
  },
};
