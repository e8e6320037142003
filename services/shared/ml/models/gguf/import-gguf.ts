import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { counted } from "../../../base/counted.js";
import { RetortError } from "../../../base/errors.js";
import { withRegular } from "../../../base/regular-files.js";
import { writeAtomically } from "../../../base/write-atomically.js";
import { sizeOf } from "../../graph/tensor.js";
import { Tokenizer } from "../../text/tokenizer.js";
import { clearWeights } from "../checkpoint/clear-weights.js";
import { configText } from "../config/config-text.js";
import type { Json } from "../config/fields.js";
import { checkWeights } from "../model.js";
import { paramSpecs } from "../model-params.js";
import { parseConfig } from "../parse-config.js";
import { shardFiles, writeShards } from "../safetensors/write-shards.js";
import { configJson, sizesOf } from "./config/config-json.js";
import { familyOf } from "./config/families.js";
import { generationJson } from "./config/generation.js";
import { GgufFields } from "./header/fields.js";
import { type GgufHeader, readGguf } from "./header/read-gguf.js";
import type { GgufTensor } from "./header/tensors.js";
import { type ImportedTokenizer, importTokenizer } from "./tokenizer/tokenizer-files.js";
import { chooseElementType } from "./weights/choose-element-type.js";
import { type ElementType, stored } from "./weights/element-type.js";
import { type NamedTensor, nameTensors, ropeFactorsName } from "./weights/names.js";
import { readRows } from "./weights/read-rows.js";
import { writtenWeights } from "./weights/write-weights.js";

/** What a GGUF file becomes: everything but the weights, whose elements are still in the file. */
export interface GgufImport {
  readonly path: string;
  readonly architecture: string;
  /** Bytes of the file, and of the weights that are written. */
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly parameters: number;
  readonly tensors: readonly NamedTensor[];
  readonly elementType: ElementType;
  /** config.json. */
  readonly config: Json;
  readonly tokenizer: ImportedTokenizer;
  /** The small files of the directory, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** What is unusual, and allowed. */
  readonly warnings: readonly string[];
}

/** Settings of an import. */
export interface ImportOptions {
  /** Element type of the weights; by default the smallest that loses nothing ({@link chooseElementType}). */
  readonly elementType?: ElementType;
  /** Most bytes of one file of weights. */
  readonly shardBytes?: number;
  /** Is told how many bytes more have been written. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Works with an open GGUF file and what it becomes as a Hugging Face directory, which is checked as far as the header goes:
 * every key is carried, known not to matter or refused, every tensor has its place, and Retort computes such a model.
 *
 * @throws NotFound if it cannot be read; DataLoss for a damaged file; InvalidArgument naming file, key or tensor, value and the
 * way out
 */
export async function withGguf<T>(path: string, options: ImportOptions, work: (file: FileHandle, planned: GgufImport) => Promise<T>) {
  const plannedWork = async (file: FileHandle) => {
    const planned = await planImport(file, path, options.elementType);
    checkModel(planned);
    return work(file, planned);
  };
  return withRegular(path, plannedWork).catch((error: NodeJS.ErrnoException) => {
    // Errors of reading name no path, those of writing another.
    if (error.path !== path) throw error;
    throw new RetortError("NotFound", `${path} cannot be read (${error.code}); name a GGUF file`);
  });
}

/** What a GGUF file becomes; see {@link withGguf}, which also checks that Retort computes it. */
export async function planImport(file: FileHandle, path: string, wanted?: ElementType): Promise<GgufImport> {
  const header = await readGguf(file, path);
  const fields = new GgufFields(header.metadata, path);
  refuseParts(fields);
  const architecture = fields.text("general.architecture");
  const family = familyOf(architecture, path);
  const own = fields.under(`${architecture}.`);
  const byName = new Map(header.tensors.map((tensor) => [tensor.name, tensor]));
  const sizes = sizesOf(own);
  if (sizes.layers > byName.size) throw own.refused("block_count", `no more layers than there are tensors (${byName.size})`);
  const tensors = nameTensors(header.tensors, family, sizes, path);
  const factors = await ropeFactors(file, byName.get(ropeFactorsName), sizes.headDim, path);
  const bare = configJson({ family, own, tensors: byName, ropeFactors: factors }, sizes);
  const warnings: string[] = [];
  const tokenizer = importTokenizer(fields, Number(bare.vocab_size), Number(bare.max_position_embeddings), warnings);
  const { bos, ends, pad } = tokenizer.roles;
  const elementType = await chooseElementType(file, tensors, path, wanted);
  const ids = { bos_token_id: bos ?? null, eos_token_id: ends[0] ?? null, pad_token_id: pad ?? null };
  const parameters = tensors.reduce((sum, { tensor }) => sum + sizeOf(tensor.shape), 0);
  const config = { ...bare, ...ids, torch_dtype: elementType, dtype: elementType };
  const text = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    path,
    architecture,
    readBytes: header.size,
    writeBytes: parameters * stored[elementType].bytes,
    parameters,
    tensors,
    elementType,
    config,
    tokenizer,
    files: {
      "config.json": configText(config),
      "generation_config.json": text(generationJson(fields, tokenizer.roles)),
      ...tokenizer.files,
    },
    warnings: [...warnings, ...unreadKeys(fields, header)],
  };
}

/**
 * Writes the directory: the small files, then the weights, each beside its name and renamed, so that a directory with weights
 * is complete. Weights of an earlier import are removed first, unless the directory was taken by force.
 *
 * @param directory one that is ours, of the kind "import"
 * @returns the digest of the weights, as every command of Retort shows it
 * @throws FailedPrecondition naming other weights that stay, before anything is written
 */
export async function writeImport(directory: string, file: FileHandle, planned: GgufImport, options: ImportOptions = {}): Promise<string> {
  const { shardBytes, onBytes = () => {} } = options;
  const hash = createHash("sha256");
  const weights = writtenWeights(file, planned, hash, onBytes);
  await clearWeights(directory, "import", shardFiles(weights, shardBytes));
  for (const [name, text] of Object.entries(planned.files)) await writeAtomically(join(directory, name), Buffer.from(text));
  await writeShards(directory, weights, { shardBytes });
  return hash.digest("hex");
}

/** Whether Retort computes such a model, with these weights and this tokenizer. */
function checkModel({ path, config, tensors, files, tokenizer }: GgufImport): void {
  const parsed = parseConfig(config, {}, `${path}, as config.json`);
  checkWeights(paramSpecs(parsed), new Map(tensors.map(({ name, tensor }) => [name, { dims: tensor.shape }])), path);
  const built = new Tokenizer({ ...tokenizer.files, "config.json": files["config.json"] ?? "" });
  if (built.size > parsed.vocabSize)
    throw new RetortError(
      "DataLoss",
      `${path}: its tokenizer makes ${counted(built.size, "token")}, and the embedding has ${parsed.vocabSize} rows`,
    );
}

/** Refuses what is no whole language model. */
function refuseParts(fields: GgufFields): void {
  const type = fields.text("general.type", "model");
  if (type !== "model") throw fields.refused("general.type", "model; name the model's own file");
  const parts = fields.get("split.count");
  if (typeof parts === "number" && parts > 1)
    throw fields.refused("split.count", "1; put the parts together first (llama-gguf-split --merge FIRST-PART WHOLE)");
}

/** The elements of rope_freqs.weight, if there is one. */
async function ropeFactors(file: FileHandle, tensor: GgufTensor | undefined, headDim: number, path: string): Promise<number[] | undefined> {
  if (!tensor) return undefined;
  const what = `${path}: tensor ${tensor.name}`;
  if (tensor.type.name !== "F32" || tensor.shape.length !== 1 || tensor.shape[0] !== headDim / 2)
    throw new RetortError(
      "DataLoss",
      `${what} is ${tensor.type.name} [${tensor.shape}]; F32 [${headDim / 2}] is expected, a factor per pair`,
    );
  const values: number[] = [];
  for await (const piece of readRows(file, tensor, {}, what)) for (const value of piece) values.push(value);
  return values;
}

/** Keys that say where a model comes from, how it was made, how other programs run it, or tokens that texts of ours never need. */
const descriptive = new RegExp(
  [
    "^(general|quantize|imatrix|split|mradermacher|unsloth)\\.",
    "^tokenizer\\.(chat_templates$|ggml\\.((fim_\\w+|prefix|suffix|middle|seperator|cls|mask)_(token_)?id|token_type_count|add_sep_token|scores)$)",
    "^tokenizer\\.ggml\\.(pre|add_space_prefix|remove_extra_whitespaces)$",
  ].join("|"),
);

/** A note about keys that aren't read. */
function unreadKeys(fields: GgufFields, { metadata }: GgufHeader): string[] {
  const unread = fields.unread().filter((key) => !descriptive.test(key));
  const shown = unread.slice(0, 5).join(", ") + (unread.length > 5 ? ` and ${unread.length - 5} more` : "");
  return unread.length ? [`${fields.path}: ${shown} of its ${metadata.size} keys: nothing of an imported model depends on them`] : [];
}
