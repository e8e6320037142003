import type { Command } from "commander";
import { bytesInWords } from "../../shared/base/bytes-in-words.js";
import { type ArchitectureName, architectureOf, architectures } from "../../shared/ml/models/architectures/table.js";
import { inspectModel } from "../../shared/ml/models/files/inspect-model.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import { type FamilyTraits, traitsOf } from "../../shared/ml/models/traits.js";
import { addCommand, print } from "../command.js";
import { textTable } from "../terminal/text-table.js";

/** Adds `retort models`. */
export function addModelsCommand(program: Command): void {
  addCommand(program, "Models and data:", "models [directory]", "list the families of models, or tell what a model directory is read as", [
    ["models", "every family, by the model_type of config.json"],
    ["models ./my-model", "whether it can be used: its family and sizes, or what stands against it"],
    ["models ./my-model --json", "the same, for scripts"],
  ]).action(async (directory: string | undefined) => {
    if (directory === undefined) {
      const families = (Object.keys(architectures) as ArchitectureName[]).map(traitsOf);
      print(program, families, familiesText(families));
    } else {
      const found = await readAs(directory);
      print(program, found, modelText(found));
    }
  });
}

function familiesText(families: readonly FamilyTraits[]): string {
  const rows = families.map(({ modelType, models, windows, biases }) => [
    modelType,
    models,
    windows ? "yes" : "",
    biases.length ? "yes" : "",
  ]);
  const table = textTable(["model_type", "models", "windows", "biases"], rows, process.stdout);
  const encoders = families.flatMap(({ modelType, encoder }) => (encoder ? [modelType] : [])).join(", ");
  return `${table}
Models of every family are sampled from with a cache, scored, trained, whole or by a low-rank adapter (LoRA, as PEFT has it), and
exported as Hugging Face directories and as ONNX; with heads of their own or tied ones; in float32, bfloat16 or float16. Models
of experts run on the CPU alone, and their experts take no adapter. Encoder-decoders (${encoders}) take plain texts alone, are
exported as Hugging Face directories alone, and learn from encoder-decoders alone.
${scalingsText(families)}
\`retort models DIRECTORY\` tells whether a model can be used.`;
}

/** Which families take which scalings: those that most take, and who takes others. */
function scalingsText(families: readonly FamilyTraits[]): string {
  const by = new Map<string, string[]>();
  for (const { modelType, rotary, scalings } of families) {
    const key = rotary ? scalings.join(", ") || "none" : "no rotary embedding";
    by.set(key, [...(by.get(key) ?? []), modelType]);
  }
  const [[most], ...others] = [...by].sort(([, a], [, b]) => b.length - a.length) as [[string, string[]], ...[string, string[]][]];
  const rest = others.map(([key, names]) => `; ${names.join(", ")}: ${key}`).join("");
  return `Scalings of the rotary embedding: ${most}${rest}.`;
}

/** What a model directory is read as. */
interface ReadAs {
  readonly directory: string;
  readonly family: string;
  readonly models: string;
  readonly parameters: number;
  /** Of the decoder, and of the encoder where there is one. */
  readonly layers: number;
  readonly encoderLayers?: number;
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Tokens that a text may have. */
  readonly context: number;
  /** Rows of the vocabulary, and ids of the tokenizer. */
  readonly vocabulary: number;
  readonly tokens: number;
  readonly tied: boolean;
  /** Whether the directory is a PEFT adapter's; all else is its base model's. */
  readonly adapter: boolean;
  /** By the window in tokens: how many layers see it alone. */
  readonly windows: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
}

/** Reads config, tokenizer and the headers of the weights. @throws NotFound, DataLoss or InvalidArgument with the way out */
async function readAs(directory: string): Promise<ReadAs> {
  const { config, tokenizer, warnings, adapted } = await inspectModel(directory);
  const windows: Record<string, number> = {};
  for (const { window } of config.layerKinds) if (window !== undefined) windows[window] = (windows[window] ?? 0) + 1;
  return {
    directory,
    family: config.architecture,
    models: architectureOf(config).models,
    parameters: parameterCount(config),
    layers: config.layers,
    ...(config.encoderDecoder ? { encoderLayers: config.encoderDecoder.encoderLayers } : {}),
    width: config.hiddenSize,
    heads: config.heads,
    kvHeads: config.kvHeads,
    context: config.maxPositions,
    vocabulary: config.vocabSize,
    tokens: tokenizer.size,
    tied: config.tieWordEmbeddings,
    adapter: adapted,
    windows,
    warnings,
  };
}

const number = (x: number): string => x.toLocaleString("en");

function modelText(found: ReadAs): string {
  const windows = Object.entries(found.windows).map(
    ([window, layers]) => `${layers} of them see the last ${number(Number(window))} tokens`,
  );
  const shared = found.kvHeads === found.heads ? "" : `, ${found.kvHeads} of keys and values`;
  return [
    `${found.directory} can be used: ${found.adapter ? "a PEFT adapter on a " : ""}${found.family} (${found.models})`,
    `  parameters  ${number(found.parameters)}, ${bytesInWords(found.parameters * 4)} in memory; ${found.tied ? "tied head" : "head of its own"}`,
    `  layers      ${[found.encoderLayers ? `${found.encoderLayers} of the encoder, ${found.layers} of the decoder` : found.layers, ...windows].join(", ")}`,
    `  width       ${number(found.width)}, ${found.heads} heads${shared}`,
    `  context     ${number(found.context)} tokens`,
    `  vocabulary  ${number(found.vocabulary)} rows, ${number(found.tokens)} tokens`,
    ...found.warnings.map((warning) => `warning: ${warning}`),
  ].join("\n");
}
