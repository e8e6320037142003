import { join } from "node:path";
import { RetortError } from "../../shared/base/errors.js";
import { type FileBytes, ownBuffers } from "../../shared/base/file-bytes.js";
import { found } from "../../shared/base/found.js";
import { ownDirectory } from "../../shared/base/own-directory.js";
import { moved } from "../../shared/base/workers.js";
import { writeAtomically } from "../../shared/base/write-atomically.js";
import { type Item, itemsOf } from "../../shared/codec/examples.js";
import { wholeDistribution } from "../../shared/codec/signal-spec.js";
import { type Columns, columnsIn, readDataset } from "../../shared/flow/prompts/dataset.js";
import { checkRows, type RowNeeds } from "../../shared/flow/prompts/needs.js";
import { type TokenDivergences, tokenDivergences } from "../../shared/ml/evaluation/divergence.js";
import { textLayoutOf } from "../../shared/ml/models/architectures/table.js";
import { readDonor } from "../../shared/ml/models/files/donor.js";
import { loadHead } from "../../shared/ml/models/files/load-head.js";
import { loadModel, modelToFiles, saveModel } from "../../shared/ml/models/files/model-files.js";
import { digestOf, initModel, type Model } from "../../shared/ml/models/model.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import type { Weights } from "../../shared/ml/models/param-spec.js";
import { encodeSafetensors } from "../../shared/ml/models/safetensors/safetensors.js";
import { readTensors } from "../../shared/ml/models/safetensors/safetensors-file.js";
import { narrowed, restRows, withRows } from "../../shared/ml/models/vocabulary-rows.js";
import { checkDevice } from "../../shared/ml/runtime/device.js";
import { Scorer } from "../../shared/ml/scoring/scorer.js";
import type { Score } from "../../shared/ml/signals/score.js";
import type { ScoreInput } from "../../shared/ml/signals/signal.js";
import { type ChatSettings, Encoder } from "../../shared/ml/text/encoder.js";
import type { TrainSequence } from "../../shared/ml/training/batch.js";
import type { Moments, TrainerState } from "../../shared/ml/training/optimizer-state.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import { Trainer, type TrainerOptions } from "../../shared/ml/training/trainer.js";
import { checkpointState, readState } from "./checkpoint-state.js";

/** Where the student comes from: a directory, or a config to start from scratch with a directory's tokenizer. */
export type StudentSource =
  | { readonly directory: string }
  | { readonly config: Readonly<Record<string, unknown>>; readonly tokenizer: string; readonly seed: bigint };

/** Which rows to read, what they must have, and how they become text. */
export interface ItemsRequest {
  readonly path: string;
  readonly columns: Columns;
  /** 0 reads all. */
  readonly limit: number;
  readonly needs: RowNeeds;
  readonly chat: ChatSettings;
}

/** What the learner must know of its student. */
export interface StudentDescription {
  readonly parameters: number;
  readonly maxPositions: number;
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly tokenizerDigest: string;
}

/** A student that is loaded, and its trainer. */
interface LoadedStudent {
  readonly model: Model;
  readonly trainer: Trainer;
  /** What the trainer was told last. */
  options: TrainerOptions;
  /** Where it came from; undefined for one that was made from scratch. */
  readonly directory: string | undefined;
  /** First rows of the vocabulary that are trained; 0 for all. */
  readonly rows: number;
  /** The rows that are not trained, and config.json as it says so: what is saved has all rows. */
  readonly rest: Weights;
  readonly wholeConfig: Model["rawConfig"];
}

/** The model that is trained, in a thread of its own. Calls must not overlap. */
export class TrainHost {
  #student: LoadedStudent | undefined;

  /**
   * Loads or makes the student; `checkpoint` is the directory of one to go on from.
   *
   * @param rows first rows of the vocabulary to train; 0 for all
   */
  async open(source: StudentSource, options: TrainerOptions, checkpoint?: string, rows = 0): Promise<StudentDescription> {
    await checkDevice(options.device);
    const directory = "directory" in source ? source.directory : undefined;
    const whole = "directory" in source ? await loadModel(source.directory) : await fromScratch(source);
    const model = narrowed(checkpoint ? { ...whole, params: (await loadModel(checkpoint)).params } : whole, rows);
    const { config, tokenizer } = model;
    const trainer = new Trainer(config, model.params, options, checkpoint ? await trainerStateIn(checkpoint, model) : undefined);
    this.#student = { model, trainer, options, directory, rows, rest: restRows(whole, rows), wholeConfig: whole.rawConfig };
    const { maxPositions, vocabSize, bosId, eosIds } = config;
    return { parameters: parameterCount(config), maxPositions, vocabSize, bosId, eosIds, tokenizerDigest: tokenizer.digest };
  }

  /** Reads a dataset's rows into tokens. @throws InvalidArgument naming what the rows lack, or the rows that are refused */
  async readItems({ path, columns, limit, needs, chat }: ItemsRequest): Promise<Item[]> {
    const rows = await readDataset(path, columns, limit);
    checkRows(rows, needs, await columnsIn(path));
    const { tokenizer, config } = this.#loaded.model;
    return itemsOf(rows, new Encoder(tokenizer, config.eosIds, chat, textLayoutOf(config)));
  }

  /** The texts of tokens. */
  decode(sequences: readonly Int32Array[]): string[] {
    return this.#loaded.model.tokenizer.decodeAll(sequences);
  }

  /** Each token's own text, for reports. */
  pieces(ids: Int32Array): string[] {
    return this.#loaded.model.tokenizer.decodeAll(
      Array.from(ids, (id) => [id]),
      { skipSpecial: false },
    );
  }

  /** Loads the head of a teacher's model directory, for the signal `hidden`; returns its digest and the width of its states. */
  async addHead(directory: string): Promise<{ readonly digest: string; readonly hiddenSize: number }> {
    const { trainer, rows } = this.#loaded;
    const head = await loadHead(directory, rows);
    return { digest: trainer.addHead(head), hiddenSize: head.dims[1]! };
  }

  /** Changes what is minimised from the next step on. */
  async configure(options: TrainerOptions): Promise<void> {
    const student = this.#loaded;
    student.options = options;
    await student.trainer.configure(options);
  }

  /** One optimiser step. */
  async step(batch: readonly TrainSequence[], learningRate: number): Promise<StepStats> {
    return this.#loaded.trainer.step(batch, learningRate);
  }

  /** Divergences of the current weights from a teacher, token by token, on sequences that the teacher has scored. */
  async divergences(inputs: readonly (ScoreInput & { readonly score: Score })[]): Promise<TokenDivergences[]> {
    const { model, trainer, options } = this.#loaded;
    const { config } = model;
    const scorer = new Scorer(config, trainer.params(), { ...options, batchTokens: options.microBatchTokens });
    try {
      const all: TokenDivergences[] = [];
      for (const part of byTokens(inputs, Math.floor(mostElements / config.vocabSize))) {
        const own = await scorer.score(part, wholeDistribution);
        all.push(...part.map(({ score }, i) => tokenDivergences(own[i]!, score)));
      }
      return all;
    } finally {
      await scorer.release();
    }
  }

  /** The current version's files: the weights, and with `whole` also config and tokenizer. The caller's thread gets them as its own. */
  files(whole: boolean): Record<string, FileBytes> {
    const { model, trainer } = this.#loaded;
    const files = whole ? modelToFiles({ ...model, params: trainer.params() }) : publishedBy(trainer);
    return moved(files, Object.values(files).flatMap(ownBuffers));
  }

  /** Saves the current weights as a Hugging Face directory; with `state`, the optimiser's moments too. Returns the weights' digest. */
  async save(directory: string, state: boolean): Promise<string> {
    const unmarked = state ? ["model.safetensors", momentsName] : undefined;
    await ownDirectory(directory, state ? "checkpoint" : "output", { unmarked, wayOut: "name another directory" });
    const { trainer } = this.#loaded;
    const digest = await this.#saveWeights(directory, trainer.params());
    if (state) await writeAtomically(join(directory, momentsName), momentsFile(trainer.moments()));
    return digest;
  }

  /** With all rows of the vocabulary, those that are not trained as they came. */
  async #saveWeights(directory: string, trained: Weights): Promise<string> {
    const { model, rest, wholeConfig, directory: origin } = this.#loaded;
    const params = withRows(trained, rest);
    await saveModel(directory, { ...model, params, rawConfig: wholeConfig }, origin);
    return digestOf(params);
  }

  get #loaded(): LoadedStudent {
    if (!this.#student) throw new RetortError("FailedPrecondition", "no student is loaded yet");
    return this.#student;
  }
}

/** The file of a checkpoint with the optimiser's moments. */
const momentsName = "optimizer.safetensors";

function momentsFile({ m, v, updates }: Moments) {
  const named = Object.entries({ m, v }).flatMap(([part, tensors]) =>
    [...tensors].map(([name, tensor]) => [`${part}:${name}`, tensor] as const),
  );
  return encodeSafetensors(new Map(named), { updates: String(updates) });
}

/** The file that is published for a version after the first: its weights. */
function publishedBy(trainer: Trainer): Record<string, FileBytes> {
  const { file, weights } = trainer.published();
  return { [file]: [...encodeSafetensors(weights)] };
}

/** Most elements of the [tokens, V] arrays held at once. */
const mostElements = 1 << 24;

/** Cuts a list where its completions reach so many tokens; at least one to a part. */
function byTokens<T extends ScoreInput>(inputs: readonly T[], tokens: number): T[][] {
  const parts: T[][] = [];
  let part: T[] = [];
  let room = 0;
  for (const input of inputs) {
    room -= input.completionIds.length;
    if (room < 0 || parts.length === 0) {
      part = [];
      parts.push(part);
      room = tokens - input.completionIds.length;
    }
    part.push(input);
  }
  return parts;
}

async function fromScratch({ config, tokenizer, seed }: Extract<StudentSource, { config: unknown }>): Promise<Model> {
  const donor = await readDonor(tokenizer);
  return initModel({ ...donor.shared, ...config }, donor.tokenizer, seed);
}

/** Where the trainer was that wrote a checkpoint; the weights are the model's, which have been read. */
async function trainerStateIn(checkpoint: string, { params }: Model): Promise<TrainerState> {
  const moments = await readTensors(join(checkpoint, momentsName));
  const part = (prefix: string) =>
    new Map([...moments].flatMap(([name, tensor]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : [])));
  const { step } = found(await readState(checkpoint, checkpointState), `the state of checkpoint ${checkpoint}`);
  return { params, m: part("m:"), v: part("v:"), updates: step };
}
