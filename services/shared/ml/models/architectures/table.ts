import { RetortError } from "../../../base/errors.js";
import type { TextLayout } from "../../text/encoder.js";
import type { ModelConfig } from "../config/model-config.js";
import { arcee } from "./arcee.js";
import type { Architecture } from "./architecture.js";
import { cohere } from "./cohere.js";
import { cohere2 } from "./cohere2.js";
import { cwm } from "./cwm.js";
import { ernie45 } from "./ernie4-5.js";
import { exaone4 } from "./exaone4.js";
import { gemma } from "./gemma.js";
import { gemma2 } from "./gemma2.js";
import { gemma3Text } from "./gemma3-text.js";
import { gptBigcode } from "./gpt-bigcode.js";
import { gptNeox } from "./gpt-neox.js";
import { gpt2 } from "./gpt2.js";
import { granite } from "./granite.js";
import { helium } from "./helium.js";
import { hunyuanV1Dense } from "./hunyuan-v1-dense.js";
import { llama } from "./llama.js";
import { ministral } from "./ministral.js";
import { mistral } from "./mistral.js";
import { mixtral } from "./mixtral.js";
import { olmo2 } from "./olmo2.js";
import { olmo3 } from "./olmo3.js";
import { opt } from "./opt.js";
import { phi3 } from "./phi3.js";
import { qwen2 } from "./qwen2.js";
import { qwen3 } from "./qwen3.js";
import { qwen3Moe } from "./qwen3-moe.js";
import { seedOss } from "./seed-oss.js";
import type { SequenceInputs } from "./sequence-inputs.js";
import { smollm3 } from "./smollm3.js";
import { stablelm } from "./stablelm.js";
import { starcoder2 } from "./starcoder2.js";
import { t5 } from "./t5.js";

/** Every supported family, by Hugging Face's `model_type`. */
export const architectures = {
  llama,
  mistral,
  qwen2,
  qwen3,
  arcee,
  cohere,
  cohere2,
  cwm,
  ernie4_5: ernie45,
  exaone4,
  gemma,
  gemma2,
  gemma3_text: gemma3Text,
  gpt2,
  gpt_bigcode: gptBigcode,
  gpt_neox: gptNeox,
  granite,
  helium,
  hunyuan_v1_dense: hunyuanV1Dense,
  ministral,
  mixtral,
  olmo2,
  olmo3,
  opt,
  phi3,
  qwen3_moe: qwen3Moe,
  seed_oss: seedOss,
  smollm3,
  stablelm,
  starcoder2,
  t5,
} as const satisfies Record<string, Architecture>;

/** `model_type` of a supported family. */
export type ArchitectureName = keyof typeof architectures;

/** Whether a `model_type` is that of a supported family. */
export const isArchitecture = (name: unknown): name is ArchitectureName => typeof name === "string" && Object.hasOwn(architectures, name);

/** The family of a model. @throws Internal for a config that no parser made */
export function architectureOf({ architecture }: Pick<ModelConfig, "architecture">): Architecture {
  if (isArchitecture(architecture)) return architectures[architecture];
  throw new RetortError("Internal", `${architecture} isn't an architecture of the table`);
}

/** What the forward pass of a text is fed. @throws Internal as {@link architectureOf} */
export function inputsOf(config: ModelConfig): SequenceInputs {
  const { inputs } = architectureOf(config);
  return typeof inputs === "function" ? inputs(config) : inputs;
}

/** Whether a model reads a prompt and its completion as one text or as two. @throws Internal as {@link architectureOf} */
export const textLayoutOf = (config: Pick<ModelConfig, "architecture">): TextLayout => (architectureOf(config).encoder ? "two" : "one");

/**
 * Refuses an encoder-decoder where only a decoder will do.
 *
 * @param where the directory or option that names it
 * @param way what to do instead
 * @throws InvalidArgument naming both
 */
export function requireDecoder(config: Pick<ModelConfig, "architecture">, where: string, way: string): void {
  if (!architectureOf(config).encoder) return;
  throw new RetortError("InvalidArgument", `${where}: a model of type ${config.architecture} is an encoder-decoder; ${way}`);
}
