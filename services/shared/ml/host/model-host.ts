import { createHash } from "node:crypto";
import { join } from "node:path";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { IdleMemory } from "../../base/idle-memory.js";
import { moved } from "../../base/workers.js";
import type { Tensor } from "../graph/tensor.js";
import { factorSpecs } from "../models/adapter/layers.js";
import { textLayoutOf } from "../models/architectures/table.js";
import { readConfig } from "../models/checkpoint/check.js";
import { openCheckpoint } from "../models/checkpoint/open.js";
import { placedWeights } from "../models/checkpoint/stored-weights.js";
import type { Constants } from "../models/constants.js";
import { checkOnDevice } from "../models/device-limits.js";
import { mapModel } from "../models/files/model-files.js";
import { type ModelOutline, outlineModel } from "../models/files/outline-model.js";
import { headDigest, identityOf, type Model, type WeightsIdentity } from "../models/model.js";
import { headName, parameterCount } from "../models/model-params.js";
import { pick } from "../models/param-spec.js";
import { type WeightsAt, weightsAt } from "../models/precision/dtype.js";
import type { WeightDtype } from "../models/precision/weight-dtypes.js";
import { readTensors } from "../models/safetensors/safetensors-file.js";
import { publishedFiles } from "../models/trainable.js";
import { narrowed } from "../models/vocabulary-rows.js";
import { checkDevice } from "../runtime/device.js";
import type { Device, SessionOptions } from "../runtime/session.js";
import type { Piece, SampleRequest } from "../sampling/chunk.js";
import { largestFedModel } from "../sampling/decoder.js";
import type { SamplingParams } from "../sampling/params.js";
import { type Completion, Sampler } from "../sampling/sampler.js";
import { type Precision, precisionOf } from "../scoring/precision.js";
import { Scorer } from "../scoring/scorer.js";
import { buffersOf, type Score, type Signal } from "../signals/score.js";
import type { ScoreInput } from "../signals/signal.js";
import { completionTexts } from "../text/completion-texts.js";
import { type CompletionText, type CompletionTokens, completionTokens } from "../text/completion-tokens.js";
import type { ChatSettings } from "../text/encoder.js";
import type { Tokenizer } from "../text/tokenizer.js";
import {
  type EncodedPair,
  type EncodedReply,
  encodePairs,
  encodePrompts,
  encodeReplies,
  type PromptInput,
  type PromptPair,
  type ReplyRequest,
  type TextModel,
} from "./texts.js";

/** Where a host finds its model: a directory, and that of the base model, where an adapter's says another one. */
export interface ModelSource {
  readonly directory: string;
  readonly base?: string;
}

/** How a model is opened in a worker thread; as {@link SamplerOptions} and {@link ScorerOptions} have it. */
export interface HostOptions extends SessionOptions {
  readonly chunkTokens: number;
  readonly maxRows: number;
  readonly batchTokens: number;
  /** First rows of the vocabulary to use; all if absent or 0. */
  readonly vocabRows?: number;
  /**
   * Element type of the weights. float32: as they are used, packed when a graph is compiled. float16, bfloat16: widened where
   * they are used, each time, which is slower; but on a GPU a scorer computes in them, and a sampler in float16 with the runtime
   * native. int8: the linears and the head in blocks of 8-bit integers, on the CPU alone.
   * Default float32.
   */
  readonly dtype?: WeightDtype;
  /** Whether versions of its weights are going to follow: it is compiled so that they are written over the old ones, where that can be. */
  readonly followsVersions?: boolean;
}

/** What a model is, for those who must be sure that two of them fit. */
export interface ModelDescription {
  readonly architecture: string;
  readonly digest: string;
  readonly tokenizerDigest: string;
  readonly templateDigest: string;
  /** Digest of how text becomes ids; {@link tokenizerDigest} says what they mean. */
  readonly encodingDigest: string;
  readonly vocabSize: number;
  /** How many ids the tokenizer has. */
  readonly tokenizerSize: number;
  readonly maxPositions: number;
  readonly hiddenSize: number;
  /** Digest of the weights that turn hidden states into logits. */
  readonly headDigest: string;
  /** SHA-256 of what the forward pass needs to know besides the weights. */
  readonly configDigest: string;
  readonly parameters: number;
  /** Element type that its weights are held in. */
  readonly dtype: WeightDtype;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
  /** What the element type of its weights costs; undefined where that is float32. */
  readonly precision?: Precision;
}

/** A completion with its text, the stop token left out. */
export interface WrittenCompletion extends Completion {
  readonly text: string;
}

/** What became of a request: its completion, or why it can't be completed. */
export type Outcome = WrittenCompletion | { readonly refusal: string };

/** Settings without stop tokens: a host uses its model's. */
export type HostSampling = Omit<SamplingParams, "stopIds">;

/** One model with everything that can be done with it: what a model worker serves. Only calls of `sample` and `sampleGroups` may overlap. */
export class ModelHost {
  #model: Model<Constants> | undefined;
  #at: WeightsAt | undefined;
  #precision: Precision | undefined;
  #sampler: Sampler | undefined;
  #scorer: Scorer | undefined;
  #options: HostOptions | undefined;
  readonly #memory = new IdleMemory();

  /** Loads a model; every other method needs it. */
  async open(source: ModelSource, options: HostOptions): Promise<ModelDescription> {
    await checkDevice(options.device);
    checkDtype(options);
    const model = narrowed(await opened(source, options.device), options.vocabRows ?? 0);
    const identity = identityOf(model);
    await this.#release();
    this.#options = options;
    this.#model = model;
    this.#use(model.params);
    this.#precision = await this.#measured();
    return this.#describe(identity);
  }

  #describe(identity: WeightsIdentity): ModelDescription {
    const { config, tokenizer } = this.#opened;
    const precision = this.#precision;
    const { architecture, vocabSize, maxPositions, hiddenSize, bosId, eosIds, padId } = config;
    const digests = {
      ...identity,
      configDigest: createHash("sha256").update(JSON.stringify(config)).digest("hex"),
      tokenizerDigest: tokenizer.digest,
      templateDigest: tokenizer.templateDigest,
      encodingDigest: tokenizer.encodingDigest,
    };
    const sizes = { vocabSize, tokenizerSize: tokenizer.size, maxPositions, hiddenSize, parameters: parameterCount(config) };
    return {
      architecture,
      bosId,
      eosIds,
      padId,
      ...digests,
      ...sizes,
      dtype: this.#settings.dtype ?? "float32",
      ...(precision ? { precision } : {}),
    };
  }

  /** What the files of a model directory say; see {@link outlineModel}. No model needs to be open. */
  outline(directory: string, vocabulary: boolean): Promise<ModelOutline> {
    return outlineModel(directory, vocabulary);
  }

  /**
   * Goes over to another version of the weights, by the directory with the files that its learner published, which stay until the
   * next version is in use. The sampler's graphs are kept where its weights are inputs; those of a model with an adapter are,
   * whatever they are: only the adapter is another.
   *
   * @throws NotFound naming the file that is missing
   */
  async useWeights(directory: string): Promise<void> {
    const { adapter, config } = this.#opened;
    if (adapter) {
      const factors = pick(await readFactors(directory), factorSpecs(config, adapter.lora));
      this.#model = { ...this.#opened, adapter: { ...adapter, factors } };
      await this.#sampler?.setFactors(factors);
    } else {
      const used = this.#use(await readVersion(directory));
      await this.#sampler?.setWeights(used);
    }
    await this.#scorer?.release();
    this.#scorer = undefined;
  }

  /** Digest of the weights that turn hidden states into logits, those of the version in use. */
  headDigest(): string {
    const { config, params } = this.#opened;
    const head = found(params.get(headName(config)), "the head");
    return headDigest({ ...head, softCap: config.logitSoftCap });
  }

  /** Prompts in tokens. @throws InvalidArgument naming the prompt */
  encode(prompts: readonly PromptInput[], chat: ChatSettings): Int32Array[] {
    return encodePrompts(this.#texts, prompts, chat, (i) => `prompts[${i}]`).map(({ ids }) => ids);
  }

  /** Prompts and completions in tokens; see {@link encodePairs}. @throws InvalidArgument naming the sequence */
  encodePairs(pairs: readonly PromptPair[], chat: ChatSettings): EncodedPair[] {
    return encodePairs(this.#texts, pairs, chat);
  }

  /** Completions that were written in other tokens, in the model's; see {@link completionTokens}. */
  completionTokens(completions: readonly CompletionText[]): (CompletionTokens | string)[] {
    return completionTokens(this.#opened.tokenizer, completions);
  }

  /** What stands between turns of conversations; see {@link encodeReplies}. */
  encodeReplies(requests: readonly ReplyRequest[], chat: ChatSettings): EncodedReply[] {
    return encodeReplies(this.#texts, requests, chat);
  }

  /** The texts of completions: what prompt and completion say together, less what the prompt says alone. */
  completionTexts(sequences: readonly { readonly promptIds: Int32Array; readonly ids: Int32Array }[]): string[] {
    const { tokenizer, config } = this.#opened;
    return completionTexts(tokenizer, sequences, textLayoutOf(config));
  }

  get #texts(): TextModel {
    const { tokenizer, config } = this.#opened;
    return { tokenizer, eosIds: config.eosIds, layout: textLayoutOf(config) };
  }

  /** Completes prompts; see {@link Sampler.sample}. */
  async sample(
    requests: readonly SampleRequest[],
    sampling: HostSampling,
    onPieces?: (pieces: readonly Piece[]) => void,
  ): Promise<WrittenCompletion[]> {
    const sampler = await this.#readySampler();
    return this.#written(sampler, requests, sampling, onPieces);
  }

  /**
   * Completes groups of prompts together: all begin at once, so that which of them share the model's passes is the same each
   * time.
   *
   * @param onWritten called for each group when all of it has its outcome
   */
  async sampleGroups(
    groups: readonly (readonly SampleRequest[])[],
    sampling: HostSampling,
    onWritten: (group: number, outcomes: readonly Outcome[]) => void,
  ): Promise<void> {
    const sampler = await this.#readySampler();
    const params = { ...sampling, stopIds: this.#opened.config.eosIds };
    const write = async (requests: readonly SampleRequest[], group: number) => {
      const refusals = requests.map((request, i) => sampler.refusal(request, params, i));
      const good = requests.filter((_, i) => refusals[i] === undefined);
      const written = (good.length > 0 ? await this.#written(sampler, good, sampling) : []).values();
      onWritten(
        group,
        refusals.map((refusal) => (refusal === undefined ? found(written.next().value, "a completion") : { refusal })),
      );
    };
    await Promise.all(groups.map(write));
  }

  async #readySampler(): Promise<Sampler> {
    const { config, params, tokenizer, adapter } = this.#opened;
    await this.#yield("scorer");
    const { device, dtype = "float32", followsVersions = false } = this.#settings;
    const options = {
      ...this.#settings,
      rewritable: followsVersions && !adapter && device === "cpu" && dtype === "float32",
      unsampled: idsWithoutToken(tokenizer, config.vocabSize),
    };
    this.#sampler ??= new Sampler(config, params, options, adapter);
    return this.#sampler;
  }

  async #written(
    sampler: Sampler,
    requests: readonly SampleRequest[],
    sampling: HostSampling,
    onPieces?: (pieces: readonly Piece[]) => void,
  ): Promise<WrittenCompletion[]> {
    const completions = await sampler.sample(requests, { ...sampling, stopIds: this.#opened.config.eosIds }, onPieces);
    this.#memory.used();
    const texts = this.completionTexts(completions.map(({ ids }, i) => ({ promptIds: requests[i]!.promptIds, ids })));
    return completions.map((completion, i) => ({ ...completion, text: texts[i]! }));
  }

  /** Scores completions; see {@link Scorer.score}. Another thread is given the scores' arrays, not copies. */
  async score(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    await this.#yield("sampler");
    const { config, params, adapter } = this.#opened;
    this.#scorer ??= new Scorer(config, params, this.#settings, adapter);
    const scores = await this.#scorer.score(inputs, signal);
    this.#memory.used();
    return moved(scores, buffersOf(scores));
  }

  get #opened(): Model<Constants> {
    if (!this.#model) throw new RetortError("FailedPrecondition", "no model is loaded yet");
    return this.#model;
  }

  get #settings(): HostOptions {
    return found(this.#options, "what the model was opened with");
  }

  async #measured(): Promise<Precision | undefined> {
    if ((this.#settings.dtype ?? "float32") === "float32") return undefined;
    const { config, params, adapter } = this.#opened;
    const scorer = new Scorer(config, params, this.#settings, adapter);
    try {
      return await precisionOf(this.#opened, scorer, this.#settings);
    } finally {
      // Sampling alone doesn't need it.
      await scorer.release();
    }
  }

  /** Goes over to weights, at the model's element type. */
  #use(weights: Constants): Constants {
    const { config } = this.#opened;
    const at = weightsAt(config, weights, this.#settings.dtype ?? "float32");
    this.#at?.close();
    this.#at = at;
    this.#model = { ...this.#opened, params: at.weights };
    return at.weights;
  }

  /** Lets go of what one of the two has compiled before the other compiles: of a model that is not small, each holds the weights. */
  async #yield(other: "sampler" | "scorer"): Promise<void> {
    if (parameterCount(this.#opened.config) <= largestFedModel) return;
    await (other === "sampler" ? this.#sampler : this.#scorer)?.release();
  }

  async #release(): Promise<void> {
    await this.#sampler?.release();
    await this.#scorer?.release();
    this.#sampler = undefined;
    this.#scorer = undefined;
  }
}

/** @throws FailedPrecondition where a device doesn't compute with an element type */
function checkDtype({ device, dtype }: HostOptions): void {
  if (dtype !== "int8" || device === "cpu") return;
  throw new RetortError(
    "FailedPrecondition",
    `dtype int8 is computed on the CPU alone, and the device is ${device}; take float16 or bfloat16`,
    {
      fieldPath: "dtype",
    },
  );
}

/** Ids that a model has rows for and its tokenizer no token: padding of the embedding, which must not be written. */
function idsWithoutToken(tokenizer: Tokenizer, rows: number): Int32Array {
  const ids = Int32Array.from({ length: rows }, (_, id) => id);
  return ids.filter((id) => tokenizer.idToToken(id) === undefined);
}

/** The factors of a version of an adapter. */
const readFactors = (directory: string): Promise<Map<string, Tensor<"float32">>> => readTensors(join(directory, publishedFiles.adapter));

/** The weights of a version, where they lie. Its digests were compared when it was fetched: its numbers are those that were trained. */
const readVersion = async (directory: string): Promise<Constants> => placedWeights((await openCheckpoint(directory)).tensors);

/** A model of its directory, which may not be of a kind that the device does not run. */
async function opened({ directory, base }: ModelSource, device: Device): Promise<Model<Constants>> {
  checkOnDevice(await readConfig(base ?? directory), device);
  return mapModel(directory, base);
}
