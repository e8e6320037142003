import { join } from "node:path";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { makeDirectory } from "../../shared/base/make-directory.js";
import { ownDirectory } from "../../shared/base/own-directory.js";
import { type Item, itemsOf } from "../../shared/codec/examples.js";
import { wholeDistribution } from "../../shared/codec/signal-spec.js";
import { checkSpelling, type OwnWords, readingOf } from "../../shared/codec/teacher-words.js";
import { type Columns, columnsIn, readDataset } from "../../shared/flow/prompts/dataset.js";
import { checkRows, type RowNeeds } from "../../shared/flow/prompts/needs.js";
import type { MixedModel } from "../../shared/flow/runs/ensembles.js";
import { averageFolder } from "../../shared/flow/runs/follow.js";
import type { TeacherPromptSettings } from "../../shared/flow/runs/teacher-prompts.js";
import type { VersionFile } from "../../shared/flow/weights/store.js";
import { type TokenDivergences, tokenDivergences } from "../../shared/ml/evaluation/divergence.js";
import { textLayoutOf } from "../../shared/ml/models/architectures/table.js";
import { readConfig } from "../../shared/ml/models/checkpoint/check.js";
import { type Constants, unrounded } from "../../shared/ml/models/constants.js";
import { checkOnDevice } from "../../shared/ml/models/device-limits.js";
import { saveAdapter, writeAdapterConfig, writeFactors } from "../../shared/ml/models/files/adapter-files.js";
import { loadHead } from "../../shared/ml/models/files/load-head.js";
import { saveCompanions, saveModel } from "../../shared/ml/models/files/model-files.js";
import { digestOf, type Model } from "../../shared/ml/models/model.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import { elementsOf } from "../../shared/ml/models/param-spec.js";
import type { FloatDtype } from "../../shared/ml/models/safetensors/widen.js";
import { type ShardOptions, type WrittenFile, writeShards, writtenTensors } from "../../shared/ml/models/safetensors/write-shards.js";
import { withRows } from "../../shared/ml/models/vocabulary-rows.js";
import { checkDevice } from "../../shared/ml/runtime/device.js";
import { type Precision, precisionOf } from "../../shared/ml/scoring/precision.js";
import { Scorer } from "../../shared/ml/scoring/scorer.js";
import type { Score } from "../../shared/ml/signals/score.js";
import type { ScoreInput } from "../../shared/ml/signals/signal.js";
import { type WrittenText, type WrittenTokens, writtenTokens } from "../../shared/ml/text/completion-tokens.js";
import { latin1, TokenCrossing } from "../../shared/ml/text/crossing.js";
import { type ChatSettings, Encoder } from "../../shared/ml/text/encoder.js";
import { type NextTokens, nextTokens, noToken, type ReadText } from "../../shared/ml/text/next-tokens.js";
import { type SpanRanks, spanRanks } from "../../shared/ml/text/span-ranks.js";
import { tokenTexts } from "../../shared/ml/text/token-texts.js";
import type { TrainSequence } from "../../shared/ml/training/batch.js";
import { beginningWith } from "../../shared/ml/training/optimizer-state.js";
import type { StepStats } from "../../shared/ml/training/stats.js";
import { Trainer, type TrainerOptions } from "../../shared/ml/training/trainer.js";
import { WeightsAverage } from "../../shared/ml/training/weights-average.js";
import { filesIn } from "./files-in.js";
import { FollowedHeads } from "./followed-heads.js";
import { type OpenedStudent, openStudent, type StudentOptions, type StudentSource } from "./open-student.js";
import { momentsName, readAverage, writeAverage, writeTrainerFiles } from "./trainer-files.js";

/** Which rows to read, what they must have, and how they become text. */
export interface ItemsRequest {
  readonly path: string;
  readonly columns: Columns;
  /** 0 reads all. */
  readonly limit: number;
  readonly needs: RowNeeds;
  readonly chat: ChatSettings;
  /** What the run's teachers read instead of the student's prompts. */
  readonly teacherPrompts: readonly TeacherPromptSettings[];
  /** The role in which an environment answers the student; undefined where none does. */
  readonly answerRole: string | undefined;
}

/** What the learner must know of its student. */
export interface StudentDescription {
  readonly parameters: number;
  /** How many numbers are trained: the parameters, or those of an adapter on them. */
  readonly trained: number;
  readonly maxPositions: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly tokenizerDigest: string;
  /** Element type of the weights that aren't trained, or of all. */
  readonly dtype: FloatDtype;
  /** What that costs; undefined for float32. */
  readonly precision?: Precision;
}

/** A completion that a teacher has read in its own tokens, with the classes that it found most probable. */
export interface CrossedText {
  readonly teacher: string;
  readonly read: ReadText;
  /** As the student has written it, and the bytes of each token that writes text. */
  readonly written: WrittenText & { readonly byteLengths: Uint16Array };
  /** Of the answer. */
  readonly rows: number;
}

/** How a student is trained. */
export interface HostOptions extends TrainerOptions {
  /** Teachers may name more classes than the student has: then as many as it has are compared. Default false. */
  readonly acrossTokenizers?: boolean;
}

/** With no more classes than the student has. */
const fitted = ({ acrossTokenizers, ...options }: HostOptions, vocab: number): TrainerOptions =>
  acrossTokenizers ? { ...options, objective: { ...options.objective, k: Math.min(options.objective.k, vocab) } } : options;

/** A student that is loaded, and its trainer. */
interface LoadedStudent extends Omit<OpenedStudent, "state" | "trainable" | "weights"> {
  readonly trainer: Trainer;
  /** What the trainer was told last. */
  options: TrainerOptions;
  readonly followedHeads: FollowedHeads;
  /** Of what is trained, after each step; undefined where no teacher is it. */
  readonly average: WeightsAverage | undefined;
}

/** The model that is trained, in a thread of its own. Calls must not overlap, but for those that read its tokenizer alone ({@link TrainHost.pieces}). */
export class TrainHost {
  #student: LoadedStudent | undefined;
  /** Of the teachers with their own tokenizers, as rows were read with them last. */
  #words: OwnWords = new Map();
  readonly #crossings = new Map<string, TokenCrossing>();

  /**
   * Loads or makes the student.
   *
   * @param student where it goes on, and how its weights are held
   * @throws as {@link openStudent}
   */
  async open(source: StudentSource, options: HostOptions, student: StudentOptions = {}): Promise<StudentDescription> {
    await checkDevice(options.device);
    const config = "directory" in source ? await readConfig(source.directory) : { architecture: String(source.config.model_type) };
    checkOnDevice(config, options.device);
    const opened = await openStudent(source, student);
    return this.#load(opened, fitted(options, opened.model.config.vocabSize), student);
  }

  async #load(
    { state, trainable, weights, ...student }: OpenedStudent,
    options: TrainerOptions,
    { averageDecay, checkpoint }: StudentOptions,
  ): Promise<StudentDescription> {
    const { dtype } = student;
    const { config, tokenizer } = student.model;
    const precision = dtype === "float32" ? undefined : await costOf(student.model, options);
    // Training changes the arrays that were loaded: a copy would stay beside them.
    const trainer = new Trainer(config, weights, options, state ?? beginningWith(trainable.specs, weights), trainable);
    const model = student.model.adapter ? student.model : { ...student.model, params: trainer.published().weights };
    const begin = async () => (checkpoint === undefined ? trainer.published().weights : readAverage(checkpoint));
    const average = averageDecay === undefined ? undefined : new WeightsAverage(averageDecay, await begin());
    this.#student = { ...student, model, options, trainer, followedHeads: new FollowedHeads(), average };
    const { maxPositions, vocabSize, hiddenSize, bosId, eosIds } = config;
    const sizes = { parameters: parameterCount(config), trained: elementsOf(trainable.specs), maxPositions, vocabSize, hiddenSize };
    return { ...sizes, bosId, eosIds, tokenizerDigest: tokenizer.digest, dtype, ...(precision && { precision }) };
  }

  /** Reads a dataset's rows into tokens. @throws InvalidArgument naming what the rows lack, or the rows that are refused */
  async readItems({ path, columns, limit, needs, chat, teacherPrompts: own, answerRole }: ItemsRequest): Promise<Item[]> {
    const rows = await readDataset(path, columns, limit);
    checkRows(rows, needs, await columnsIn(path));
    const { tokenizer, config } = this.#loaded.model;
    const encoder = new Encoder(tokenizer, config.eosIds, chat, textLayoutOf(config));
    if (own.some((teacher) => teacher.tokenizer === "own")) checkSpelling(tokenizer, "student.model", "the student");
    const reading = await readingOf(own, chat);
    this.#words = reading.words ?? this.#words;
    return itemsOf(rows, encoder, reading, answerRole);
  }

  /** The texts of tokens. */
  decode(sequences: readonly Int32Array[]): string[] {
    return this.#loaded.model.tokenizer.decodeAll(sequences);
  }

  /** How the tokens of completions write their texts: what a teacher's own tokens are held against. */
  writtenTokens(completions: readonly WrittenText[]): WrittenTokens[] {
    const { tokenizer } = this.#loaded.model;
    return completions.map((completion) => writtenTokens(tokenizer, completion));
  }

  /**
   * What teachers with their own tokens expect the student to write.
   *
   * @throws FailedPrecondition for a teacher whose tokenizer no rows were read with
   */
  nextTokens(texts: readonly CrossedText[]): NextTokens[] {
    const { vocabSize, eosIds } = this.#loaded.model.config;
    return texts.map(({ teacher, read, written: { ids, text, ended, byteLengths }, rows: count }) => {
      // Without an end token of its own, a student has none to expect one of.
      const endId = (ended ? ids.at(-1) : eosIds[0]) ?? noToken;
      return nextTokens(this.#crossingOf(teacher), read, { text: latin1(Buffer.from(text)), byteLengths, endId }, count, vocabSize);
    });
  }

  /** What teachers with their own tokenizers say where their spans and the student's end, to be compared by rank. */
  spanRanks(texts: readonly CrossedText[]): SpanRanks[] {
    const { vocabSize } = this.#loaded.model.config;
    return texts.map(({ read, written, rows }) => spanRanks(read, written, rows, vocabSize));
  }

  #crossingOf(teacher: string): TokenCrossing {
    const known = this.#crossings.get(teacher);
    if (known) return known;
    const words = this.#words.get(teacher);
    if (!words)
      throw new RetortError("FailedPrecondition", `no rows have been read for the teacher "${teacher}", whose tokenizer is its own`);
    const crossing = new TokenCrossing(words.tokenizer, this.#loaded.model.tokenizer);
    this.#crossings.set(teacher, crossing);
    return crossing;
  }

  /** The text of each sequence's tokens, for reports. */
  pieces(sequences: readonly Int32Array[]): string[][] {
    return tokenTexts(this.#loaded.model.tokenizer, sequences);
  }

  /**
   * Loads the heads of a teacher's model directories, for the signal `hidden`; returns their digest and the width of the states.
   *
   * @param models one, or those of an ensemble, whose shares add up to 1
   */
  async addHead(models: readonly MixedModel[]): Promise<{ readonly digest: string; readonly hiddenSize: number }> {
    const { trainer, rows } = this.#loaded;
    const parts = await Promise.all(models.map(async ({ model, share }) => ({ head: await loadHead(model, rows), share })));
    const [first, ...others] = parts;
    const digest = trainer.addHead(others.length ? { parts } : found(first, "a teacher's model").head);
    return { digest, hiddenSize: parts.reduce((sum, { head }) => sum + head.dims[1]!, 0) };
  }

  /** Keeps the head of a version that teachers follow: that of the model, or of a directory; see {@link FollowedHeads.keep}. */
  async keepHead(version: number, oldest: number, directory?: string): Promise<void> {
    const { trainer, followedHeads, average } = this.#loaded;
    const model = await this.#current();
    const followed = average && !model.adapter ? { ...model, params: average.weights } : model;
    await followedHeads.keep(trainer, followed, version, oldest, directory);
  }

  /** Changes what is minimised from the next step on. */
  async configure(given: HostOptions): Promise<void> {
    const student = this.#loaded;
    const options = fitted(given, student.model.config.vocabSize);
    student.options = options;
    await student.trainer.configure(options);
  }

  /** One optimiser step, which the average takes in. @param watched as of {@link Trainer.step} */
  async step(batch: readonly TrainSequence[], learningRate: number, watched: readonly number[] = []): Promise<StepStats> {
    const { trainer, average } = this.#loaded;
    const stats = await trainer.step(batch, learningRate, watched);
    if (average) {
      await trainer.fetch();
      average.update(trainer.published().weights);
    }
    return stats;
  }

  /** Divergences of the current weights from a teacher, token by token, on sequences that the teacher has scored. */
  async divergences(inputs: readonly (ScoreInput & { readonly score: Score })[]): Promise<TokenDivergences[]> {
    const { options } = this.#loaded;
    const { config, params, adapter } = await this.#current();
    const scorer = new Scorer(config, params, scorerOptions(options, !adapter), adapter);
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

  /**
   * Writes the current version's files: the weights, and with `whole` also config and tokenizer, and the base model of an adapter.
   * They are written from the trainer's own arrays, and hashed at the same time. They are not synced to the disk: see DirectoryStore.
   *
   * @param directory an empty one, but for spare files, which are written over
   * @param how as of {@link ShardOptions}
   */
  async writeVersion(directory: string, whole: boolean, how: Pick<ShardOptions, "hashed" | "shardBytes"> = {}): Promise<VersionFile[]> {
    const { adapter, ...model } = await this.#current();
    const options = { ...how, sync: false, overSpare: true };
    const known: WrittenFile[] = [];
    if (whole && adapter) await writeAdapterConfig(directory, adapter, model.config);
    if (whole) await saveCompanions(directory, model);
    if (adapter) known.push(...(await writeFactors(directory, adapter.factors, false)));
    if (whole || !adapter) {
      // Students have a base that was rounded as it came, and hold it as they are told.
      known.push(...(await writeShards(directory, writtenTensors(unrounded(model.params)), options)));
    }
    const { average } = this.#loaded;
    if (average) known.push(...(await writeAverageVersion(directory, average, adapter !== undefined, how.shardBytes)));
    return filesIn(directory, known);
  }

  /**
   * Saves the current weights as a Hugging Face directory, or an adapter as PEFT's; with `state`, what a trainer goes on from
   * too.
   *
   * @param shardBytes as of {@link ShardOptions}
   * @returns the digest of the weights, or of the adapter's factors, and the files that were hashed while they were written
   */
  async save(
    directory: string,
    state: boolean,
    shardBytes?: number,
  ): Promise<{ readonly digest: string; readonly files: readonly WrittenFile[] }> {
    const unmarked = state ? ["model.safetensors", momentsName] : undefined;
    await ownDirectory(directory, state ? "checkpoint" : "output", { unmarked, wayOut: "name another directory" });
    const { trainer, base, average } = this.#loaded;
    const { digest, files } = await this.#saveWeights(directory, shardBytes);
    if (!state) return { digest, files };
    const averaged = average ? await writeAverage(directory, average.weights, shardBytes) : [];
    return { digest, files: [...files, ...averaged, ...(await writeTrainerFiles(directory, trainer.moments(), base, shardBytes))] };
  }

  /** With all rows of the vocabulary, those that are not trained as they came. */
  async #saveWeights(directory: string, shardBytes?: number) {
    const { rest, wholeConfig, directory: origin, trainer } = this.#loaded;
    const model = await this.#current();
    if (model.adapter) {
      const files = await saveAdapter(directory, model.adapter, model.config, model.tokenizer, origin);
      return { digest: digestOf(model.adapter.factors), files };
    }
    const params = withRows(trainer.published().weights, rest);
    const files = await saveModel(directory, { ...model, params, rawConfig: wholeConfig }, origin, undefined, { shardBytes });
    return { digest: digestOf(params), files };
  }

  /** The student as it is until the next step, which changes its weights where they are. */
  async #current(): Promise<Model<Constants>> {
    const { model, trainer } = this.#loaded;
    const { adapter } = model;
    await trainer.fetch();
    const { weights } = trainer.published();
    return adapter ? { ...model, adapter: { ...adapter, factors: weights } } : { ...model, params: weights };
  }

  get #loaded(): LoadedStudent {
    if (!this.#student) throw new RetortError("FailedPrecondition", "no student is loaded yet");
    return this.#student;
  }
}

/** Writes what teachers have of a version that are the average: as the version itself is written, into a folder of it. */
async function writeAverageVersion(
  directory: string,
  { weights }: WeightsAverage,
  isAdapter: boolean,
  shardBytes: number | undefined,
): Promise<WrittenFile[]> {
  const folder = join(directory, averageFolder);
  await makeDirectory(folder);
  const files = isAdapter
    ? await writeFactors(folder, weights, false)
    : await writeShards(folder, writtenTensors(weights), { shardBytes, sync: false });
  return files.map((file) => ({ ...file, name: `${averageFolder}/${file.name}` }));
}

/**
 * How a trainer's weights are read where they are: what is trained as inputs of graphs, what lies in files mapped. In float32, as it
 * trains.
 */
const scorerOptions = (options: TrainerOptions, weightsAsInputs: boolean) => ({
  ...{ ...options, batchTokens: options.microBatchTokens || scoredTokens },
  ...{ weightsAsInputs, packed: false, fused: false as const },
});

/** What the element type of a base's weights costs. */
async function costOf(model: Model<Constants>, options: TrainerOptions): Promise<Precision> {
  const used = scorerOptions(options, false);
  const scorer = new Scorer(model.config, model.params, used, model.adapter);
  return precisionOf(model, scorer, used).finally(() => scorer.release());
}

/** Most elements of the [tokens, V] arrays held at once. */
const mostElements = 1 << 24;

/** Most tokens of a forward that scores. */
const scoredTokens = 16_384;

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
