import { resolveLora } from "../../shared/flow/runs/resolve.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { architectureOf } from "../../shared/ml/models/architectures/table.js";
import type { StudentSource } from "./open-student.js";

/** Where a run's student comes from. */
export function studentSource({ student, teachers, seed }: RunSpecValid): StudentSource {
  const { init, model } = student;
  const lora = resolveLora(student.lora);
  if (!init) return { directory: model, ...(lora ? { adapter: { ...lora, seed: BigInt(seed) } } : {}) };
  const config = {
    model_type: init.architecture,
    hidden_size: init.hiddenSize,
    intermediate_size: init.intermediateSize,
    num_hidden_layers: init.layers,
    num_attention_heads: init.heads,
    num_key_value_heads: init.kvHeads || init.heads,
    head_dim: init.headDim || init.hiddenSize / init.heads,
    max_position_embeddings: init.maxPositions || 256,
    tie_word_embeddings: init.tieWordEmbeddings ?? true,
    rope_theta: init.ropeTheta || 10000,
    initializer_range: init.initializerRange || 0.02,
    rms_norm_eps: 1e-5,
    architectures: [`${architectureOf(init).className}ForCausalLM`],
    torch_dtype: "float32",
  };
  return { config, tokenizer: init.tokenizer || teachers[0]!.model, seed: BigInt(seed) };
}
