import { counted } from "../../base/counted.js";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { isInFile } from "../graph/file-tensor.js";
import { halfOnCpu } from "../graph/half-on-cpu.js";
import { float32 } from "../graph/tensor.js";
import { checkObjective, comparesDistributions, readsSignal } from "../losses/objective.js";
import { textLength } from "../models/architectures/sequence-inputs.js";
import { inputsOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { allInMemory, type Constants } from "../models/constants.js";
import { withRoom } from "../models/forward/rotary.js";
import { microBatchTokensFor } from "../models/memory-estimate.js";
import { headParts, type TeacherHead, teacherHeadDigest } from "../models/model.js";
import { parameterCount } from "../models/model-params.js";
import { pick, type Weights } from "../models/param-spec.js";
import { publishedFiles, type Trainable, wholeModel } from "../models/trainable.js";
import { clipFactor } from "../optim/adamw.js";
import { batchOverhead } from "../runtime/batches.js";
import { KeptFloats } from "../runtime/kept-floats.js";
import { floatsOf } from "../runtime/outputs.js";
import { keepsOnDevice, type Placed, Session } from "../runtime/session.js";
import { Sessions } from "../runtime/sessions.js";
import { logFloor } from "../signals/logprobs.js";
import { type BatchLayout, type MicroBatch, microBatch, rowWeights, splitBatch, type TrainSequence } from "./batch.js";
import { DeviceStepState } from "./device-step-state.js";
import { blockRowsFor, headShapes, sliceRowsFor } from "./head-blocks.js";
import { knownTokens } from "./known-tokens.js";
import { scaledGradients } from "./loss-scale.js";
import { copyOf, type Moments, OptimizerState, type TrainerState } from "./optimizer-state.js";
import { type CountedTokens, countedTokens, needsValues } from "./select-tokens.js";
import { massesGraph, soundRows } from "./sound-rows.js";
import { spanGaps } from "./span-gaps.js";
import type { StudentRanks } from "./span-masses.js";
import { rowOutputs, StatsCollector, type StepStats, valueOutputs } from "./stats.js";
import { accumulateGraph, gradientsGraph, type StepGraphOptions, valuesGraph } from "./step-graph.js";
import { comparesSpanRanks, hasMergedSpans, stepMasses } from "./step-masses.js";
import { HostStepState, type StepState } from "./step-state.js";
import type { TrainerOptions } from "./trainer-options.js";

export type { TrainerOptions } from "./trainer-options.js";

/** The graphs of a trainer by what they are for. */
const graphs = { gradients: gradientsGraph, accumulate: accumulateGraph, values: valuesGraph };

/** What the graphs of one trainer differ in, besides their length. */
type StepForm = Pick<StepGraphOptions, "blocks" | "gaps" | "heads" | "masses" | "padded" | "ranks" | "sliceRows">;

/** What was found out of a step's batch by a forward pass before its own. */
type StepChoices = Pick<BatchLayout, "counted" | "gaps" | "masses" | "sound">;

/** Each token by itself. */
const each = ({ length }: Int32Array): Int32Array => Int32Array.from({ length }, (_, n) => n);

/**
 * Trains a model: each call of {@link step} is one optimiser step. Calls must not overlap. It blocks its thread, so it
 * belongs in a worker.
 *
 * A step whose loss or gradient is not finite leaves the weights as they were.
 */
export class Trainer {
  readonly #config: ModelConfig;
  readonly #sessions: Sessions;
  readonly #room = new KeptFloats();
  readonly #heads = new Map<string, TeacherHead>();
  readonly #state: OptimizerState;
  #placed: StepState | undefined;
  readonly #trainable: Trainable;
  readonly #frozen: Constants;
  /** What is frozen lies in files, and graphs have it as constants, which hold no copy. */
  readonly #isMapped: boolean;
  #options: TrainerOptions;

  /**
   * @param weights all that the forward pass reads: what is trained is copied, what is frozen is read where it is, in memory or
   *   in files, as those of `weightsAt` are
   * @param state to go on from where a trainer was; its arrays become the trainer's own
   */
  constructor(
    config: ModelConfig,
    weights: Constants,
    options: TrainerOptions,
    state?: TrainerState,
    trainable: Trainable = wholeModel(config),
  ) {
    checkObjective(options.objective, config.vocabSize);
    this.#config = config;
    this.#trainable = trainable;
    this.#frozen = pick(weights, trainable.frozen);
    this.#isMapped = [...this.#frozen.values()].some(isInFile);
    this.#options = options;
    this.#sessions = new Sessions(config.maxPositions, 8);
    this.#state = new OptimizerState(trainable.specs, state ?? allInMemory(pick(weights, trainable.specs)));
  }

  /** Changes what is minimised from the next step on; the optimiser's state stays. */
  async configure(options: TrainerOptions): Promise<void> {
    if (JSON.stringify(options) === JSON.stringify(this.#options)) return;
    checkObjective(options.objective, this.#config.vocabSize);
    await this.release();
    this.#options = options;
  }

  /**
   * Takes the head [V, E] that turns a teacher's hidden states into logits, for the signal `hidden`, or the heads of an ensemble; returns
   * its digest.
   *
   * @throws InvalidArgument if the teacher's vocabulary is of another size
   */
  addHead(head: TeacherHead): string {
    const { vocabSize } = this.#config;
    for (const { dims } of headParts(head).map((part) => part.head))
      if (dims[0] !== vocabSize)
        throw new RetortError(
          "InvalidArgument",
          `the teacher's head speaks of ${counted(dims[0] ?? 0, "class", "classes")}, the student's vocabulary has ${vocabSize}`,
        );
    const digest = teacherHeadDigest(head);
    this.#heads.set(digest, head);
    return digest;
  }

  /** Lets go of a head, whose states are not trained on any more. */
  dropHead(digest: string): void {
    this.#heads.delete(digest);
  }

  /**
   * One optimiser step on a batch at a learning rate.
   *
   * @param watched members of the batch whose tokens are reported one by one
   * @throws InvalidArgument for a sequence that does not fit the objective, before anything is computed;
   *   DataLoss if the loss or the gradient is not finite: the weights are then unchanged
   */
  async step(batch: readonly TrainSequence[], learningRate: number, watched: readonly number[] = []): Promise<StepStats> {
    if (batch.length === 0) throw new RetortError("InvalidArgument", "a step needs at least one sequence");
    const { maxPositions } = this.#config;
    const long = batch.findIndex((sequence) => textLength(sequence) > maxPositions);
    if (long >= 0)
      throw new RetortError(
        "InvalidArgument",
        `sequence ${long}: prompt and completion together exceed the model's ${maxPositions} positions; lower maxNewTokens or drop the prompt`,
      );
    const { objective, microBatchTokens, optimizer, gradientCheckpointing = false, computeDtype = "float32" } = this.#options;
    const overhead = batchOverhead(parameterCount(this.#config));
    const longest = Math.max(...batch.map(textLength));
    const budget = microBatchTokens || microBatchTokensFor(this.#config, longest, gradientCheckpointing, computeDtype !== "float32");
    const parts = splitBatch(batch, { budget, overhead }, inputsOf(this.#config));
    const known = knownTokens(batch, objective);
    const weights = rowWeights(batch, objective, known);
    const placed = await this.#stepState();
    const sound = await this.#sound(batch);
    const gaps = known ? undefined : await this.#gaps(batch, parts, placed);
    const masses = await this.#masses(batch, parts, placed, known);
    const chosen = { sound, gaps, masses, counted: known ?? (await this.#counted(batch, parts, placed, gaps)) };
    const isScaled = computeDtype === "float16";
    const { stats, norm, scale } = await scaledGradients(this.#state, isScaled, async (lossScale) => {
      const begun = new StatsCollector(batch, weights, watched);
      await this.#gradients(batch, parts, begun, placed, { ...chosen, lossScale });
      return { stats: begun, norm: await placed.norm() };
    });
    const result = stats.finish(norm, learningRate, isScaled ? scale : undefined);
    if (!Number.isFinite(norm) || !Number.isFinite(result.loss)) {
      const way = isScaled ? ", or activations that overflow float16 (optimizer.computeDtype)" : "";
      throw new RetortError(
        "DataLoss",
        `loss ${result.loss}, gradient norm ${norm}: the step was not applied; look for non-finite teacher scores or rewards${way}, or lower the learning rate`,
      );
    }
    await placed.update({ learningRate, scale: clipFactor(norm, optimizer.maxGradNorm) / scale }, optimizer);
    return result;
  }

  /** Brings what steps have changed to where the functions below read it, if it stays on a device: they refuse to give what is older. */
  async fetch(): Promise<void> {
    await this.#placed?.fetch();
  }

  /** The state, whose arrays are those of the last step. @throws Internal if that has not been fetched */
  get #fetched(): OptimizerState {
    if (this.#placed?.isAhead) throw new RetortError("Internal", "the trainer's weights are on the device: fetch() comes first");
    return this.#state;
  }

  /** The model's current weights; those that are trained are copies, which later steps do not change. */
  params(): Weights {
    return this.#trainable.merged(copyOf(this.#fetched.params), allInMemory(this.#frozen));
  }

  /**
   * What a new version is published as, by the file that holds it: the model's weights, or those that are trained. They are the
   * trainer's own until its next step, which changes them.
   */
  published(): { readonly file: string; readonly weights: Weights } {
    const { published } = this.#trainable;
    const { params } = this.#fetched;
    const weights = published === "full" ? this.#trainable.merged(params, allInMemory(this.#frozen)) : params;
    return { file: publishedFiles[published], weights };
  }

  /** What the optimiser keeps of the weights that are trained: the trainer's own until its next step, which changes it. */
  moments(): Moments {
    return this.#fetched.moments;
  }

  /** Where the trainer is; copies. */
  state(): TrainerState {
    return this.#fetched.snapshot();
  }

  async release(): Promise<void> {
    await this.#placed?.fetch();
    await this.#placed?.release();
    this.#placed = undefined;
    this.#room.release();
    await this.#sessions.release();
  }

  /** Where the next step is computed. */
  async #stepState(): Promise<StepState> {
    const { stateOnDevice = keepsOnDevice(this.#options) } = this.#options;
    const frozen = this.#isMapped ? new Map() : allInMemory(this.#frozen);
    this.#placed ??= stateOnDevice
      ? await DeviceStepState.open(this.#state, frozen, this.#options)
      : new HostStepState(this.#state, Object.fromEntries(frozen), this.#options);
    return this.#placed;
  }

  /** The members whose whole distributions are such; undefined where none is compared, or the device isn't where they are. */
  async #sound(batch: readonly TrainSequence[]): Promise<StepChoices["sound"]> {
    const { objective, device } = this.#options;
    if (!readsSignal(objective) || objective.signal !== "full" || device !== "cpu") return undefined;
    const options = { ...this.#options, spinning: "briefly", memoryArena: true } as const;
    const session = await this.#sessions.get("masses", 1, () => Session.create(massesGraph(), options));
    return soundRows(batch, this.#config.vocabSize, session);
  }

  /** The completion tokens that count; undefined for all. */
  async #counted(
    batch: readonly TrainSequence[],
    parts: readonly number[][],
    { feeds }: StepState,
    gaps: StepChoices["gaps"],
  ): Promise<CountedTokens | undefined> {
    const { tokens } = this.#options.objective;
    if (!tokens) return undefined;
    if (!needsValues(tokens)) return countedTokens(batch, tokens);
    const values = await this.#values(batch, parts, feeds, tokens.by === "entropy" ? "entropy" : "distance", gaps);
    return countedTokens(batch, tokens, values);
  }

  /** What the tokens of each member answer for, where some are scored over spans; undefined where none is. Takes a forward pass of its own. */
  async #gaps(batch: readonly TrainSequence[], parts: readonly number[][], { feeds }: StepState): Promise<StepChoices["gaps"]> {
    if (!batch.some(({ spans }) => spans)) return undefined;
    const logprobs = await this.#values(batch, parts, feeds, "logprobs");
    return new Map(
      batch.map(({ score, spans, completionIds }, member) => {
        const teacher = found(score?.logprobs, `the teacher's log-probabilities of sequence ${member}`);
        const layout = spans ?? { starts: each(completionIds), words: each(completionIds), alike: true };
        return [
          member,
          spanGaps(
            layout,
            logprobs[member]!,
            teacher.map((logprob) => Math.max(logprob, logFloor)),
          ),
        ];
      }),
    );
  }

  /**
   * What the spans of each member are compared with, by rank; undefined where none has spans, or the objective compares no ranks. Takes a
   * forward pass of its own, unless every span is one token of the student's.
   */
  async #masses(
    batch: readonly TrainSequence[],
    parts: readonly number[][],
    { feeds }: StepState,
    known: CountedTokens | undefined,
  ): Promise<StepChoices["masses"]> {
    const { objective } = this.#options;
    if (!comparesSpanRanks(batch, objective)) return undefined;
    return stepMasses(batch, objective, known, hasMergedSpans(batch) ? await this.#ranks(batch, parts, feeds) : undefined);
  }

  /** One of the numbers that a step reports of each row, before the step: of each sequence's tokens. */
  async #values(
    batch: readonly TrainSequence[],
    parts: readonly number[][],
    feeds: StepState["feeds"],
    name: "distance" | "entropy" | "logprobs",
    gaps?: StepChoices["gaps"],
  ): Promise<Float32Array[]> {
    const [values] = await this.#reported(batch, parts, feeds, [[name, 1]], { gaps });
    return values!;
  }

  /** The student's ranks at each of its tokens, before the step. */
  async #ranks(batch: readonly TrainSequence[], parts: readonly number[][], feeds: StepState["feeds"]): Promise<StudentRanks[]> {
    const width = this.#options.objective.k + 1;
    const names = [["ranks", width] as const, ["rankedLogprobs", 1] as const];
    const [ranks, logprobs] = await this.#reported(batch, parts, feeds, names, {}, true);
    return batch.map((_, member) => ({ ranks: ranks![member]!, logprobs: logprobs![member]! }));
  }

  /**
   * What a forward pass before the step says of each sequence's tokens.
   *
   * @param names of reports, with how many numbers each has of a token
   * @returns by report, then by sequence
   */
  async #reported(
    batch: readonly TrainSequence[],
    parts: readonly number[][],
    feeds: StepState["feeds"],
    names: readonly (readonly [name: string, width: number])[],
    chosen: StepChoices,
    ranks = false,
  ): Promise<Float32Array[][]> {
    const values = names.map(([, width]) => batch.map(({ completionIds }) => new Float32Array(completionIds.length * width)));
    for (const members of parts) {
      const { part, form } = this.#layOut(batch, members, chosen);
      const session = await this.#session("values", { ...form, ranks }, part);
      const into = valueOutputs(part, names);
      const outputs = await session.run({ ...part.feeds, ...feeds }, into, Object.keys(into));
      for (const [i, [name]] of names.entries()) {
        const all = floatsOf(outputs, name);
        let at = 0;
        for (const member of members) {
          const own = values[i]![member]!;
          own.set(all.subarray(at, at + own.length));
          at += own.length;
        }
      }
    }
    return values;
  }

  /** Puts the gradients of a step's loss into the state, and what it reports into `stats`. */
  async #gradients(
    batch: readonly TrainSequence[],
    parts: readonly number[][],
    stats: StatsCollector,
    placed: StepState,
    { lossScale, ...chosen }: StepChoices & { readonly lossScale: number | undefined },
  ): Promise<void> {
    const kind = parts.length === 1 ? "gradients" : "accumulate";
    if (kind === "accumulate") await placed.clearGradients();
    const { feeds, gradientsIn, gradientsOut } = placed;
    const added = { ...feeds, ...(kind === "accumulate" ? gradientsIn : {}) };
    const constant: Placed = lossScale ? { ...added, lossScale: float32([lossScale], []) } : added;
    for (const members of parts) {
      const { part, form } = this.#layOut(batch, members, chosen);
      const session = await this.#session(kind, form, part);
      stats.add(part, await session.run({ ...part.feeds, ...constant }, { ...gradientsOut, ...rowOutputs(part, this.#options.objective) }));
    }
  }

  #layOut(batch: readonly TrainSequence[], members: readonly number[], chosen: StepChoices = {}) {
    const rows = members.reduce((sum, i) => sum + batch[i]!.completionIds.length, 0);
    const { vocabSize, hiddenSize, padId } = this.#config;
    const inputs = inputsOf(this.#config);
    const { objective, device } = this.#options;
    // A micro-batch has the states of one teacher.
    const head = this.#heads.get(batch[members[0]!]!.score?.headDigest ?? "");
    const heads = head && headShapes(head);
    // A GPU has no such caches.
    const usual = device === "cpu" && this.#options.blockRows === undefined ? sliceRowsFor(rows, vocabSize) : 0;
    const { sliceRows = usual } = this.#options;
    const { blockRows = blockRowsFor(rows, vocabSize, hiddenSize, sliceRows) } = this.#options;
    const sizes = { vocab: vocabSize, blockRows, sliceRows };
    const layout = { inputs, padId: padId ?? 0, ...sizes, objective, heads: this.#heads, room: this.#room, ...chosen };
    const padded = batch.some(({ known }) => known) && comparesDistributions(objective);
    return {
      part: microBatch(batch, members, layout),
      form: { blocks: blockRows > 0, sliceRows, heads, padded, gaps: chosen.gaps !== undefined, masses: chosen.masses !== undefined },
    };
  }

  async #session(kind: keyof typeof graphs, form: StepForm, part: MicroBatch): Promise<Session> {
    const { objective, gradientCheckpointing, computeDtype } = this.#options;
    return this.#sessions.get(`${kind}/${JSON.stringify(form)}`, part.feeds.ids?.dims[1] ?? 0, (room) => {
      const frozen = this.#isMapped ? this.#frozen : undefined;
      const parts = { config: withRoom(this.#config, room), trainable: this.#trainable, frozen };
      const options = { ...parts, objective, gradientCheckpointing, computeDtype, ...form };
      const graph = this.#options.device === "cpu" ? halfOnCpu(graphs[kind](options)) : graphs[kind](options);
      // Packed, the constants would be there once more for each graph, and a product of so many rows is no faster by it.
      const kept = { memoryArena: true, asWritten: true, bound: true, packed: false, spinning: "briefly" } as const;
      return Session.create(graph, { ...this.#options, ...kept });
    });
  }
}
