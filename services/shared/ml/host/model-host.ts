import { createHash } from "node:crypto";
import { RetortError } from "../../base/errors.js";
import type { FileBytes } from "../../base/file-bytes.js";
import { loadModel, modelFromFiles } from "../models/files.js";
import { headDigest } from "../models/head.js";
import { digestOf, type Model } from "../models/model.js";
import { headName, parameterCount } from "../models/params.js";
import { decodeSafetensors } from "../models/safetensors.js";
import { checkDevice } from "../runtime/device.js";
import type { SessionOptions } from "../runtime/session.js";
import type { SamplingParams } from "../sampling/params.js";
import { type Completion, type Piece, type SampleRequest, Sampler } from "../sampling/sampler.js";
import type { Score, Signal } from "../scoring/score.js";
import { type ScoreInput, Scorer } from "../scoring/scorer.js";
import type { ChatMessage } from "../text/tokenizer.js";

/** Where a host finds its model: a directory, or the files of one by name. */
export type ModelSource = { readonly directory: string } | { readonly files: Readonly<Record<string, FileBytes>> };

export interface HostOptions extends SessionOptions {
  readonly chunkTokens: number;
  readonly maxRows: number;
  readonly batchTokens: number;
}

/** What a model is, for those who must be sure that two of them fit. */
export interface ModelDescription {
  readonly architecture: string;
  readonly digest: string;
  readonly tokenizerDigest: string;
  readonly templateDigest: string;
  readonly vocabSize: number;
  readonly maxPositions: number;
  readonly hiddenSize: number;
  /** Digest of the weights that turn hidden states into logits. */
  readonly headDigest: string;
  /** SHA-256 of what the forward pass needs to know besides the weights. */
  readonly configDigest: string;
  readonly parameters: number;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly padId: number | undefined;
}

/** A prompt as text (special tokens in it are recognised), as token ids, or as messages for the chat template. */
export type PromptInput = string | Int32Array | readonly ChatMessage[];

/** A completion with its text, the stop token left out. */
export interface WrittenCompletion extends Completion {
  readonly text: string;
}

/** Settings without stop tokens: a host uses its model's. */
export type HostSampling = Omit<SamplingParams, "stopIds">;

/** One model with everything that can be done with it: what a model worker serves. Calls must not overlap. */
export class ModelHost {
  #model: Model | undefined;
  #sampler: Sampler | undefined;
  #scorer: Scorer | undefined;
  #options: HostOptions | undefined;

  /** Loads a model; every other method needs it. */
  async open(source: ModelSource, options: HostOptions): Promise<ModelDescription> {
    await checkDevice(options.device);
    this.#model = "directory" in source ? await loadModel(source.directory) : modelFromFiles(source.files);
    this.#options = options;
    await this.#release();
    return this.describe();
  }

  describe(): ModelDescription {
    const { config, params, tokenizer } = this.#opened;
    const { architecture, vocabSize, maxPositions, hiddenSize, bosId, eosIds, padId } = config;
    const digests = {
      digest: digestOf(params),
      headDigest: headDigest(params.get(headName(config))!),
      configDigest: createHash("sha256").update(JSON.stringify(config)).digest("hex"),
      tokenizerDigest: tokenizer.digest,
      templateDigest: tokenizer.templateDigest,
    };
    return { architecture, vocabSize, maxPositions, hiddenSize, bosId, eosIds, padId, ...digests, parameters: parameterCount(config) };
  }

  /** Replaces the weights by those of a safetensors file. The sampler's graphs are kept where its weights are inputs. */
  async useWeights(bytes: FileBytes): Promise<void> {
    const params = decodeSafetensors(bytes);
    this.#model = { ...this.#opened, params };
    await this.#sampler?.setWeights(params);
    await this.#scorer?.release();
    this.#scorer = undefined;
  }

  encode(prompts: readonly PromptInput[]): Int32Array[] {
    const { tokenizer } = this.#opened;
    return prompts.map((prompt) => {
      if (prompt instanceof Int32Array) return prompt;
      if (typeof prompt === "string") return tokenizer.encode(prompt, { addSpecial: true });
      return tokenizer.encode(tokenizer.applyChatTemplate(prompt));
    });
  }

  decode(sequences: readonly Int32Array[]): string[] {
    return sequences.map((ids) => this.#opened.tokenizer.decode(ids));
  }

  /** Completes prompts; see {@link Sampler.sample}. */
  async sample(
    requests: readonly SampleRequest[],
    sampling: HostSampling,
    onPieces?: (pieces: readonly Piece[]) => void,
  ): Promise<WrittenCompletion[]> {
    const { config, params, tokenizer } = this.#opened;
    this.#sampler ??= new Sampler(config, params, this.#options!);
    const completions = await this.#sampler.sample(requests, { ...sampling, stopIds: config.eosIds }, onPieces);
    return completions.map((completion) => ({ ...completion, text: tokenizer.decode(completion.ids) }));
  }

  /** Scores completions; see {@link Scorer.score}. */
  async score(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    const { config, params } = this.#opened;
    this.#scorer ??= new Scorer(config, params, this.#options!);
    return this.#scorer.score(inputs, signal);
  }

  get #opened(): Model {
    if (!this.#model) throw new RetortError("FailedPrecondition", "no model is loaded yet");
    return this.#model;
  }

  async #release(): Promise<void> {
    await this.#sampler?.release();
    await this.#scorer?.release();
    this.#sampler = undefined;
    this.#scorer = undefined;
  }
}
