import { RetortError } from "../../base/errors.js";
import { checkObjective, type Objective } from "../losses/objective.js";
import { inputsOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { withRoom } from "../models/forward/rotary.js";
import { type Head, headDigest } from "../models/model.js";
import { pick, type Weights } from "../models/param-spec.js";
import { publishedFiles, type Trainable, wholeModel } from "../models/trainable.js";
import { scalarOf } from "../runtime/outputs.js";
import { type Feeds, Session, type SessionOptions } from "../runtime/session.js";
import { Sessions } from "../runtime/sessions.js";
import { type MicroBatch, microBatch, rowWeights, splitBatch, type TrainSequence } from "./batch.js";
import { type Moments, OptimizerState, type TrainerState } from "./optimizer-state.js";
import { StatsCollector, type StepStats } from "./stats.js";
import { accumulateGraph, type StepGraphOptions, stepGraph } from "./step-graph.js";
import { applyGraph, type OptimizerOptions } from "./update.js";

/** How a model is trained, whatever the batch. */
export interface TrainerOptions extends SessionOptions {
  readonly objective: Objective;
  readonly optimizer: OptimizerOptions;
  /** Most tokens of one micro-batch, padding included. */
  readonly microBatchTokens: number;
  /** Layers are computed again for their gradients, to save memory. Default false. */
  readonly gradientCheckpointing?: boolean;
  /** Rows per block of the vocabulary loss; 0 takes all at once. By default blocks are used where they save memory. */
  readonly blockRows?: number;
}

/** What the graphs of one trainer differ in, besides their length. */
type StepForm = Pick<StepGraphOptions, "blockRows" | "headSoftCap">;

/** Elements of one [rows, V] array above which the vocabulary loss goes block by block. */
const plainLimit = 1 << 22;
/** Fewer rows per block would starve the matrix products. */
const minimumBlock = 64;

/**
 * Trains a model: each call of {@link step} is one optimiser step. Calls must not overlap. It blocks its thread, so it
 * belongs in a worker.
 *
 * A step whose loss or gradient is not finite leaves the weights as they were.
 */
export class Trainer {
  readonly #config: ModelConfig;
  readonly #sessions: Sessions;
  readonly #heads = new Map<string, Head>();
  readonly #state: OptimizerState;
  readonly #trainable: Trainable;
  readonly #frozen: Weights;
  #options: TrainerOptions;

  /**
   * @param weights all that the forward pass reads, trained and frozen
   * @param state to go on from where a trainer was
   */
  constructor(
    config: ModelConfig,
    weights: Weights,
    options: TrainerOptions,
    state?: TrainerState,
    trainable: Trainable = wholeModel(config),
  ) {
    checkObjective(options.objective, config.vocabSize);
    this.#config = config;
    this.#trainable = trainable;
    this.#frozen = pick(weights, trainable.frozen);
    this.#options = options;
    this.#sessions = new Sessions(config.maxPositions, 8);
    this.#state = new OptimizerState(trainable.specs, state ?? weights);
  }

  /** Changes what is minimised from the next step on; the optimiser's state stays. */
  async configure(options: TrainerOptions): Promise<void> {
    if (JSON.stringify(options) === JSON.stringify(this.#options)) return;
    checkObjective(options.objective, this.#config.vocabSize);
    await this.release();
    this.#options = options;
  }

  /**
   * Takes the head [V, E] that turns a teacher's hidden states into logits, for the signal `hidden`; gives its digest.
   *
   * @throws InvalidArgument if the teacher's vocabulary is of another size
   */
  addHead(head: Head): string {
    const { vocabSize } = this.#config;
    if (head.dims[0] !== vocabSize)
      throw new RetortError(
        "InvalidArgument",
        `the teacher's head speaks of ${head.dims[0]} classes, the student's vocabulary has ${vocabSize}`,
      );
    const digest = headDigest(head);
    this.#heads.set(digest, head);
    return digest;
  }

  /**
   * One optimiser step on a batch at a learning rate.
   *
   * @throws InvalidArgument for a sequence that does not fit the objective, before anything is computed;
   *   DataLoss if the loss or the gradient is not finite: the weights are then unchanged
   */
  async step(batch: readonly TrainSequence[], learningRate: number): Promise<StepStats> {
    if (batch.length === 0) throw new RetortError("InvalidArgument", "a step needs at least one sequence");
    const { maxPositions } = this.#config;
    const long = batch.findIndex(({ promptIds, completionIds }) => promptIds.length + completionIds.length > maxPositions);
    if (long >= 0)
      throw new RetortError(
        "InvalidArgument",
        `sequence ${long}: prompt and completion together exceed the model's ${maxPositions} positions; lower maxNewTokens or drop the prompt`,
      );
    const { objective, microBatchTokens, optimizer } = this.#options;
    const parts = splitBatch(batch, microBatchTokens, inputsOf(this.#config));
    const stats = new StatsCollector(batch, rowWeights(batch, objective.normalisation));
    const feeds = this.#state.scalars(learningRate, optimizer);
    const norm =
      parts.length === 1 ? await this.#whole(batch, parts[0]!, feeds, stats) : await this.#accumulated(batch, parts, feeds, stats);
    const result = stats.finish(norm, learningRate);
    if (!Number.isFinite(norm) || !Number.isFinite(result.loss)) {
      throw new RetortError(
        "DataLoss",
        `loss ${result.loss}, gradient norm ${norm}: the step was not applied; look for non-finite teacher scores or rewards, or lower the learning rate`,
      );
    }
    this.#state.advance();
    return result;
  }

  /** The model's current weights; those that are trained are copies, which later steps do not change. */
  params(): Weights {
    return this.#trainable.merged(this.#state.params(), this.#frozen);
  }

  /**
   * What a new version is published as, by the file that holds it: the model's weights, or those that are trained. They are the
   * trainer's own until its next step, which changes them.
   */
  published(): { readonly file: string; readonly weights: Weights } {
    const { published } = this.#trainable;
    const trained = new Map(Object.entries(this.#state.weights));
    return { file: publishedFiles[published], weights: published === "full" ? this.#trainable.merged(trained, this.#frozen) : trained };
  }

  /** What the optimiser keeps of the weights that are trained; copies. */
  moments(): Moments {
    return this.#state.moments();
  }

  /** Where the trainer is; copies. */
  state(): TrainerState {
    return { params: this.#state.params(), ...this.moments() };
  }

  async release(): Promise<void> {
    await this.#sessions.release();
  }

  async #whole(batch: readonly TrainSequence[], members: readonly number[], scalars: Feeds, stats: StatsCollector): Promise<number> {
    const { part, form } = this.#layOut(batch, members);
    const session = await this.#session("step", form, part);
    const outputs = await session.run({ ...part.feeds, ...scalars, ...this.#frozenFeeds, ...this.#state.current }, this.#state.next);
    stats.add(part, outputs);
    return scalarOf(outputs, "gradientNorm");
  }

  async #accumulated(batch: readonly TrainSequence[], parts: readonly number[][], scalars: Feeds, stats: StatsCollector): Promise<number> {
    const { weights } = this.#state;
    let sums = this.#state.sums();
    for (const members of parts) {
      const { part, form } = this.#layOut(batch, members);
      const session = await this.#session("accumulate", form, part);
      const outputs = await session.run({ ...part.feeds, ...this.#frozenFeeds, ...weights, ...sums });
      stats.add(part, outputs);
      sums = this.#state.sums(outputs);
    }
    const session = await this.#session("apply", { blockRows: 0 });
    const outputs = await session.run({ ...scalars, ...sums, ...this.#state.current }, this.#state.next);
    return scalarOf(outputs, "gradientNorm");
  }

  get #frozenFeeds(): Feeds {
    return Object.fromEntries(this.#frozen);
  }

  #layOut(batch: readonly TrainSequence[], members: readonly number[]) {
    const rows = members.reduce((sum, i) => sum + batch[i]!.completionIds.length, 0);
    const { vocabSize, padId } = this.#config;
    const byDefault = rows * vocabSize > plainLimit ? Math.max(minimumBlock, Math.floor(plainLimit / vocabSize / 2)) : 0;
    const blockRows = this.#options.blockRows ?? byDefault;
    const inputs = inputsOf(this.#config);
    const { objective } = this.#options;
    const layout = { inputs, padId: padId ?? 0, vocab: vocabSize, objective, blockRows, heads: this.#heads };
    // A micro-batch has the states of one head.
    const headSoftCap = this.#heads.get(batch[members[0]!]!.score?.headDigest ?? "")?.softCap;
    return { part: microBatch(batch, members, layout), form: { blockRows, headSoftCap } };
  }

  async #session(kind: "step" | "accumulate" | "apply", form: StepForm, part?: MicroBatch): Promise<Session> {
    const { objective, optimizer } = this.#options;
    return this.#sessions.get(`${kind}/${form.blockRows}/${form.headSoftCap}`, part?.feeds.ids?.dims[1] ?? 0, (room) => {
      const options = { config: withRoom(this.#config, room), trainable: this.#trainable, objective, optimizer, ...form };
      const build = {
        step: () => stepGraph(options),
        accumulate: () => accumulateGraph(options),
        apply: () => applyGraph(this.#trainable.specs, optimizer),
      }[kind];
      return Session.create(build(), { ...this.#options, memoryArena: true });
    });
  }
}
