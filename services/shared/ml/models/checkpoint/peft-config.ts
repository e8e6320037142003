import { Fields, type Json } from "../config/fields.js";
import { allLinear, type Lora } from "../lora.js";

/** The file of an adapter's directory that says what it is. */
export const adapterConfigName = "adapter_config.json";

/** What an adapter_config.json says. */
export interface AdapterConfig extends Omit<Lora, "layers"> {
  /** Which modules, by their whole names or ends; or those whose whole names the pattern matches. */
  readonly targets: readonly string[] | RegExp;
  /** Directory of the base model, as it is written. */
  readonly base: string;
  /** What is allowed, and has no effect here. */
  readonly warnings: readonly string[];
}

/** Whether a value says "none of this": PEFT writes every key, and most of them so. */
const isNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  value === "" ||
  (typeof value === "object" && Object.keys(value as object).length === 0);

const merge = "merge it with PEFT (merge_and_unload().save_pretrained(DIRECTORY)) and take the merged model";

/** Keys that change what an adapter computes, or that its base does, in a way that is not computed here. */
const unsupported: Readonly<Record<string, string>> = {
  alora_invocation_tokens: "an adapter that acts behind certain tokens alone",
  alpha_pattern: "layers with an alpha of their own",
  arrow_config: "routing between adapters",
  exclude_modules: "modules that are left out by name; list those that are adapted in target_modules",
  kasa_config: "KaSA",
  layer_replication: "layers that are repeated",
  layers_to_transform: "layers by number; list the modules that are adapted in target_modules",
  lora_bias: "biases on B",
  megatron_config: "Megatron's layers",
  modules_to_save: "modules that are trained as a whole",
  monteclora_config: "MonteCLoRA",
  rank_pattern: "layers with a rank of their own",
  target_parameters: "adapted parameters that are no modules",
  trainable_token_indices: "single rows of the embedding",
  use_bdlora: "block-diagonal factors",
  use_dora: "DoRA",
  use_qalora: "QALoRA",
  velora_config: "VeLoRA",
};

/**
 * Keys that say how the adapter began, was trained or is loaded by PEFT, and nothing of what it computes. How weights lie
 * (fan_in_fan_out) PEFT itself takes from the kind of the module.
 */
const harmless: ReadonlySet<string> = new Set([
  ...[
    "auto_mapping",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "fan_in_fan_out",
    "inference_mode",
    "layers_pattern",
    "loftq_config",
  ],
  ...["lora_ga_config", "megatron_core", "peft_version", "qalora_group_size", "revision", "runtime_config"],
]);

const read: ReadonlySet<string> = new Set([
  ...["base_model_name_or_path", "bias", "init_lora_weights", "lora_alpha", "lora_dropout", "peft_type", "r"],
  ...["target_modules", "task_type", "use_rslora"],
]);

/** Ways to begin that leave the base model as it is. */
const initialisations: readonly unknown[] = [true, false, "gaussian", "orthogonal", "eva"];

/** What PEFT wraps the model for; it computes the same for both. */
const tasks: readonly unknown[] = ["CAUSAL_LM", "SEQ_2_SEQ_LM"];

/**
 * Reads an adapter_config.json of PEFT. Every key that changes the mathematics is read or refused, and so is one that is not
 * known and says anything.
 *
 * @param path names the file in errors
 * @throws InvalidArgument naming file and key, and the way out
 */
export function parseAdapterConfig(raw: Json, path: string): AdapterConfig {
  const fields = new Fields(raw, path);
  const type = fields.text("peft_type");
  if (type !== "LORA") throw fields.error(`peft_type is ${type}; supported: LORA. For another kind of adapter, ${merge}`);
  for (const [key, value] of Object.entries(raw)) {
    if (isNothing(value) || read.has(key) || harmless.has(key)) continue;
    const what = Object.hasOwn(unsupported, key)
      ? unsupported[key]
      : "a key that Retort does not know, and that may change what is computed";
    throw fields.error(`${key} is ${JSON.stringify(value)}: ${what}; ${merge}`);
  }
  const task = fields.get("task_type");
  if (task !== undefined && !tasks.includes(task)) throw fields.refused("task_type", tasks.join(", "));
  if (fields.text("bias", "none") !== "none") throw fields.error(`bias is ${fields.text("bias")}; supported: none. Else ${merge}`);
  const init = fields.get("init_lora_weights") ?? true;
  if (!initialisations.includes(init))
    throw fields.error(
      `init_lora_weights is ${JSON.stringify(init)}, which changes the base model's weights; save it with PEFT's path_initial_model_for_weight_conversion, or ${merge}`,
    );
  const dropout = fields.get("lora_dropout") ?? 0;
  if (typeof dropout !== "number" || !(dropout >= 0 && dropout < 1)) throw fields.refused("lora_dropout", "a number from 0 to 1");
  return {
    r: fields.size("r"),
    alpha: fields.positive("lora_alpha"),
    useRslora: fields.flag("use_rslora"),
    targets: targetsOf(fields),
    base: baseOf(fields),
    warnings: dropout ? [`${path}: lora_dropout is ${dropout}; Retort trains adapters without dropout`] : [],
  };
}

function targetsOf(fields: Fields): readonly string[] | RegExp {
  const targets = fields.get("target_modules");
  if (typeof targets === "string") {
    if (targets.toLowerCase() === allLinear) return [allLinear];
    try {
      return new RegExp(`^(?:${targets})$`);
    } catch {
      throw fields.refused("target_modules", `a list of names, ${allLinear}, or a pattern that JavaScript reads as Python does`);
    }
  }
  const isList = Array.isArray(targets) && targets.length > 0 && targets.every((name) => typeof name === "string");
  if (!isList) throw fields.refused("target_modules", `a list of names, ${allLinear}, or a pattern`);
  return targets as string[];
}

function baseOf(fields: Fields): string {
  const base = fields.get("base_model_name_or_path");
  if (typeof base !== "string" || base === "" || base.includes("\0"))
    throw fields.refused("base_model_name_or_path", "the directory of the base model");
  return base;
}

/** What is written of an adapter besides its numbers. */
interface WrittenConfig {
  /** Directory of the base model. */
  readonly base: string;
  readonly targets: readonly string[];
  /** Whether the weights of its layers lie [in, out]. */
  readonly fanInFanOut: boolean;
  /** That of an encoder-decoder is SEQ_2_SEQ_LM. */
  readonly taskType: "CAUSAL_LM" | "SEQ_2_SEQ_LM";
}

/** The adapter_config.json of an adapter, as PEFT writes it. */
export const adapterConfigText = ({ r, alpha, useRslora }: Lora, { base, targets, fanInFanOut, taskType }: WrittenConfig): string =>
  `${JSON.stringify(
    {
      alpha_pattern: {},
      auto_mapping: null,
      base_model_name_or_path: base,
      bias: "none",
      fan_in_fan_out: fanInFanOut,
      inference_mode: true,
      init_lora_weights: true,
      lora_alpha: alpha,
      lora_dropout: 0,
      modules_to_save: null,
      peft_type: "LORA",
      r,
      rank_pattern: {},
      revision: null,
      target_modules: targets,
      task_type: taskType,
      use_dora: false,
      use_rslora: useRslora,
    },
    null,
    2,
  )}\n`;
