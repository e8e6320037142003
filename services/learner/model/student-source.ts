import { resolveLora } from "../../shared/flow/runs/resolve.js";
import type { InitSpec, RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { architectureOf } from "../../shared/ml/models/architectures/table.js";
import { parseConfig } from "../../shared/ml/models/parse-config.js";
import type { StudentSource } from "./open-student.js";

/** Where a run's student comes from. */
export function studentSource({ student, teachers, seed }: RunSpecValid): StudentSource {
  const { init, model } = student;
  const lora = resolveLora(student.lora);
  if (!init) return { directory: model, ...(lora ? { adapter: { ...lora, seed: BigInt(seed) } } : {}) };
  const config = architectureOf(init).encoder ? encoderDecoderConfig(init) : decoderConfig(init);
  return { config, tokenizer: init.tokenizer || teachers[0]!.model, seed: BigInt(seed) };
}

const named = (init: InitSpec) => {
  const { className, headClass = "ForCausalLM" } = architectureOf(init);
  return { model_type: init.architecture, architectures: [`${className}${headClass}`], torch_dtype: "float32" };
};

function decoderConfig(init: InitSpec) {
  const config = {
    ...named(init),
    hidden_size: init.hiddenSize,
    intermediate_size: init.intermediateSize,
    num_hidden_layers: init.layers,
    num_attention_heads: init.heads,
    num_key_value_heads: init.kvHeads || init.heads,
    head_dim: init.headDim || init.hiddenSize / init.heads,
    max_position_embeddings: init.maxPositions || 256,
    tie_word_embeddings: init.tieWordEmbeddings ?? true,
    ...(init.ropeTheta ? { rope_theta: init.ropeTheta } : {}),
    initializer_range: init.initializerRange || 0.02,
  };
  const { norm } = parseConfig({ ...config, vocab_size: 1 });
  return norm === "layer" ? config : { ...config, rms_norm_eps: 1e-5 };
}

/** A T5 as of version 1.1, but for the head, which may be tied: gated, and as many layers in the encoder as in the decoder. */
function encoderDecoderConfig(init: InitSpec) {
  return {
    ...named(init),
    is_encoder_decoder: true,
    d_model: init.hiddenSize,
    d_ff: init.intermediateSize,
    d_kv: init.headDim || init.hiddenSize / init.heads,
    num_layers: init.layers,
    num_heads: init.heads,
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: init.tieWordEmbeddings ?? true,
  };
}
