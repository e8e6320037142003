import { counted } from "../../base/counted.js";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import { isHalf, isInFile } from "../graph/file-tensor.js";
import type { Graph } from "../graph/graph.js";
import { halfOnCpu } from "../graph/half-on-cpu.js";
import { float32, int32, int64 } from "../graph/tensor.js";
import { replyFault, textLength } from "../models/architectures/sequence-inputs.js";
import { inputsOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { allInMemory, type Constants } from "../models/constants.js";
import type { FusedDtype } from "../models/forward/fused-pass.js";
import { withRoom } from "../models/forward/rotary.js";
import { fusedObstacle } from "../models/fused-states.js";
import type { Adapter } from "../models/lora.js";
import { headName, parameterCount } from "../models/model-params.js";
import { batchOverhead, cheapestBatches } from "../runtime/batches.js";
import { runInParts } from "../runtime/run-in-parts.js";
import { type Device, type Feeds, Session, type SessionOptions } from "../runtime/session.js";
import { Sessions } from "../runtime/sessions.js";
import type { Score, Signal } from "../signals/score.js";
import type { ScoreInput } from "../signals/signal.js";
import { signalKindOf, signals } from "../signals/table.js";
import { scoreGraph } from "./score-graph.js";

/** Where a scorer computes, and how much at once. */
export interface ScorerOptions extends SessionOptions {
  /** Most tokens of one forward, padding included. */
  readonly batchTokens: number;
  /** Feed the weights, which are in memory, to each run instead of compiling them in, which copies them. Default false. */
  readonly weightsAsInputs?: boolean;
  /**
   * Map at most so many bytes of weights at once: the model is compiled part by part for each call, which is slower. Default: no
   * bound, and what was compiled is kept.
   */
  readonly mostMapped?: number;
  /**
   * Compute layers by the runtime's fused operators, in this element type; logits and answers are float32 in any case. False: in float32,
   * by plain ones. Default: in the half precision that all weights are held in, on a GPU, where the model is one that does.
   */
  readonly fused?: FusedDtype | false;
  /**
   * Most elements of an array of logits, beyond which an answer is made block by block of its rows. Default: 2^26 on a GPU; on the CPU
   * 2^22, or 64 rows, and none of a head of half precision.
   */
  readonly blockElements?: number;
}

/** What a scorer's layers are computed in by fused operators; undefined: float32, by plain ones. @throws FailedPrecondition where that is asked of a model that can't */
function fusedDtypeOf(config: ModelConfig, weights: Constants, { device, fused, weightsAsInputs }: ScorerOptions): FusedDtype | undefined {
  const obstacle = fusedObstacle(config);
  if (fused && obstacle) throw new RetortError("FailedPrecondition", `this model can't be scored by fused operators: ${obstacle}`);
  if (fused !== undefined) return fused || undefined;
  if (device === "cpu" || weightsAsInputs || obstacle) return undefined;
  const [dtype = "float32", ...others] = new Set([...weights.values()].map((weight) => weight.dtype));
  return others.length === 0 && isHalf(dtype) ? dtype : undefined;
}

/** Most elements of logits that a forward on the CPU makes as a whole, more where one sequence has more. */
const mostElements = 1 << 24;

/** Tokens of a forward on the CPU that has no such array: larger ones are no faster, and what their layers compute takes more memory. */
const tokensOnCpu = 768;

/**
 * Most elements of an array of logits: 256 MB on a GPU, 16 MB on the CPU, and as many rows as it takes for reading the head not to be most
 * of it. A head of half precision is widened on the CPU for each product anew, which one for all rows does once.
 */
function blockElementsOn(device: Device, config: ModelConfig, weights: Constants): number {
  if (device !== "cpu") return 1 << 26;
  const head = weights.get(headName(config));
  const isWidened = head !== undefined && isHalf(head.dtype) && !(isInFile(head) && head.quantised);
  return isWidened ? Number.POSITIVE_INFINITY : Math.max(1 << 22, 64 * config.vocabSize);
}

/** Graphs that are kept: each holds a copy of the weights, and compiling one for another kind of signal takes as long as mapping them. */
const mostSessions = 1;

/** Scores completions under a model. Calls block their thread and must not overlap; a scorer belongs in a worker. */
export class Scorer {
  readonly #config: ModelConfig;
  readonly #weights: Constants;
  readonly #options: ScorerOptions;
  readonly #sessions: Sessions;
  readonly #adapter: Pick<Adapter, "lora" | "factors"> | undefined;
  readonly #fused: FusedDtype | undefined;
  /** Rows whose logits are made at once; 0 for all. */
  readonly #blockRows: number;

  /** @param adapter on the weights */
  constructor(config: ModelConfig, weights: Constants, options: ScorerOptions, adapter?: Pick<Adapter, "lora" | "factors">) {
    this.#adapter = adapter;
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
    this.#sessions = new Sessions(config.maxPositions, mostSessions);
    this.#fused = fusedDtypeOf(config, weights, options);
    const { vocabSize } = config;
    const { device, batchTokens, mostMapped, blockElements = blockElementsOn(device, config, weights) } = options;
    const isWhole = mostMapped !== undefined || batchTokens * vocabSize <= blockElements;
    this.#blockRows = isWhole ? 0 : Math.max(1, Math.floor(blockElements / vocabSize));
  }

  /**
   * Scores every completion token of each sequence.
   *
   * @throws InvalidArgument for a sequence that is empty or longer than the model's positions, a token outside the
   *   vocabulary, student_top_k without its classes, or a signal with k out of bounds or a temperature that is not
   *   positive; OutOfRange for a hidden state that float16 cannot hold; FailedPrecondition where what layers compute is too large
   *   for the half precision that they compute in; DataLoss where it isn't finite in float32
   */
  async score(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    this.#checkSignal(signal);
    for (const [i, input] of inputs.entries()) {
      this.check(input, i);
      signals[signal.kind].check?.(input, signal.k, this.#config.vocabSize, i);
    }
    const scores = new Array<Score>(inputs.length);
    const lengths = inputs.map(inputsOf(this.#config).lengths);
    const batches = cheapestBatches(lengths, this.#budget(signal), batchOverhead(parameterCount(this.#config)));
    const place = (members: readonly number[], outputs: Feeds) => {
      const answers = answersOf(outputs, pickedFrom(inputs, members), signal, this.#config.vocabSize, this.dtype);
      members.forEach((member, i) => {
        scores[member] = answers[i]!;
      });
    };
    const { mostMapped } = this.#options;
    if (mostMapped === undefined) {
      for (const members of batches) place(members, await this.#forward(pickedFrom(inputs, members), signal));
      return scores;
    }
    const feeds = batches.map((members) => this.#feeds(pickedFrom(inputs, members), signal));
    const graph = this.#graph(signal, Math.max(...lengths.flat()));
    const outputs = await runInParts(graph, feeds, this.#options, mostMapped);
    for (const [i, members] of batches.entries()) place(members, found(outputs[i], "a batch's outputs"));
    return scores;
  }

  /** What layers are computed in. */
  get dtype(): FusedDtype {
    return this.#fused ?? "float32";
  }

  /** Refuses a sequence that cannot be scored. */
  check(input: ScoreInput, index = 0): void {
    const { promptIds, completionIds, replies = [] } = input;
    const { maxPositions, vocabSize } = this.#config;
    const refuse = (message: string) => {
      throw new RetortError("InvalidArgument", `sequence ${index}: ${message}`);
    };
    if (promptIds.length === 0 || completionIds.length === 0) refuse("prompt and completion need at least one token each");
    const fault = replyFault(input);
    if (fault) refuse(fault);
    const length = textLength(input);
    if (length - 1 > maxPositions) refuse(`${counted(length, "token exceeds", "tokens exceed")} the model's ${maxPositions} positions`);
    const outside = (id: number) => id < 0 || id >= vocabSize;
    const stray = [promptIds, completionIds, ...replies.map(({ ids }) => ids)]
      .map((ids) => ids.find(outside))
      .find((id) => id !== undefined);
    if (stray !== undefined) refuse(`token id ${stray} is outside the vocabulary of ${vocabSize}`);
  }

  async release(): Promise<void> {
    await this.#sessions.release();
  }

  /** Most tokens of a forward. */
  #budget({ kind }: Signal): number {
    const { device, batchTokens } = this.#options;
    if (device !== "cpu") return batchTokens;
    const makesWhole = !signals[kind].needsHead && !this.#isInBlocks(kind);
    return Math.min(batchTokens, Math.max(mostElements / this.#config.vocabSize, makesWhole ? 0 : tokensOnCpu));
  }

  #isInBlocks(kind: Signal["kind"]): boolean {
    return this.#blockRows > 0 && signals[kind].isSmall;
  }

  #checkSignal({ kind, k, temperature }: Signal): void {
    const { vocabSize } = this.#config;
    if (!(temperature >= 1e-3 && temperature <= 1e3))
      throw new RetortError("InvalidArgument", `signal.temperature is ${temperature}; it must lie in [0.001, 1000]`);
    const largest = signals[signalKindOf(kind)].largestK?.(vocabSize);
    if (largest !== undefined && !(Number.isInteger(k) && k >= 1 && k <= largest)) {
      const bound = largest === vocabSize ? `the vocabulary's ${largest}` : `${largest}`;
      throw new RetortError("InvalidArgument", `signal.k is ${k}; ${kind} needs a whole number from 1 to ${bound}`);
    }
  }

  async #forward(inputs: readonly ScoreInput[], signal: Signal): Promise<Feeds> {
    const longest = Math.max(...inputs.flatMap(inputsOf(this.#config).lengths));
    // The number of classes or draws is an input of the graph.
    const session = await this.#sessions.get(`${signal.kind}/${signal.hiddenDtype ?? ""}`, longest, (room) =>
      Session.create(this.#graph(signal, room), this.#options),
    );
    return session.run(this.#feeds(inputs, signal));
  }

  #graph(signal: Signal, room: number): Graph {
    const graph = scoreGraph({
      config: withRoom(this.#config, room),
      weights: this.#options.weightsAsInputs ? "inputs" : this.#weights,
      signal,
      lora: this.#adapter?.lora,
      fused: this.#fused,
      blocks: this.#blockRows > 0,
    });
    return this.#options.device === "cpu" ? halfOnCpu(graph) : graph;
  }

  #feeds(inputs: readonly ScoreInput[], signal: Signal): Feeds {
    const { feeds, places } = inputsOf(this.#config).layOut(inputs, 0);
    const rows = places.length;
    const labels = new Int32Array(rows);
    let row = 0;
    for (const { completionIds } of inputs) {
      labels.set(completionIds, row);
      row += completionIds.length;
    }
    return {
      ...(this.#options.weightsAsInputs ? Object.fromEntries(allInMemory(this.#weights)) : {}),
      ...Object.fromEntries(this.#adapter?.factors ?? []),
      ...feeds,
      rows: { dtype: "int64", dims: [rows], data: places },
      labels: int32(labels, [rows]),
      temperature: float32([signal.temperature], []),
      ...this.#placeFeeds(inputs),
      ...(this.#isInBlocks(signal.kind) ? this.#blockFeeds(rows) : {}),
      ...signals[signal.kind].feeds?.(inputs, signal.k),
    };
  }

  /** What tells a fused pass where texts end. */
  #placeFeeds(inputs: readonly ScoreInput[]): Feeds {
    if (!this.#fused) return {};
    // The last token of a text is never read.
    const lengths = inputs.map((input) => textLength(input) - 1);
    const last = lengths.map((length) => length - 1);
    return { last: int32(last, [last.length]), total: int32([Math.max(...lengths)], []) };
  }

  /** Blocks of as many rows each, of which no more than are needed repeat the last. */
  #blockFeeds(rows: number): Feeds {
    const blocks = Math.ceil(rows / this.#blockRows);
    return { blocks: int64([blocks], []), blockRows: int64([Math.ceil(rows / blocks)], []) };
  }
}

const pickedFrom = <T>(items: readonly T[], places: readonly number[]): T[] => places.map((place) => found(items[place], "an item"));

/** Each sequence's part of the outputs of one forward. @param dtype what layers were computed in */
function answersOf(outputs: Feeds, inputs: readonly ScoreInput[], signal: Signal, vocab: number, dtype: FusedDtype): Score[] {
  let row = 0;
  return inputs.map(({ completionIds, studentTopIds }) => {
    const [from, to] = [row, row + completionIds.length];
    row = to;
    if (dtype !== "float32" && outputs.hidden) checkStates(outputs.hidden, from, to, dtype);
    const answer = signals[signal.kind].answer({ outputs, from, to, k: signal.k, vocab, studentTopIds });
    const bad = answer.logprobs?.findIndex((x) => !(x < Number.POSITIVE_INFINITY)) ?? -1;
    if (bad >= 0) throw notFinite(`the log-probability of a completion's token ${bad} is ${answer.logprobs?.[bad]}`, dtype);
    return { ...answer, signal };
  });
}

/** States of half precision that are infinite or NaN are the layers' fault, whatever they are sent in. */
function checkStates({ data, dims }: Feeds[string], from: number, to: number, dtype: FusedDtype): void {
  // What bfloat16 can hold and float16 can't is refused where it is sent.
  if (dtype === "bfloat16" && data instanceof Uint16Array) return;
  const width = dims[1] ?? 0;
  const isEndless = (x: number | bigint) => (data instanceof Uint16Array ? (Number(x) & 0x7c00) === 0x7c00 : !Number.isFinite(x));
  if (data.subarray(from * width, to * width).some(isEndless)) throw notFinite("a hidden state isn't finite", dtype);
}

/** @param what the number that isn't finite */
function notFinite(what: string, dtype: FusedDtype): RetortError {
  if (dtype === "float32")
    return new RetortError("DataLoss", `${what}; the model's logits are not finite: its weights are damaged, or its activations overflow`);
  const way = dtype === "float16" ? "bfloat16, or float32" : "float32";
  return new RetortError(
    "FailedPrecondition",
    `${what}: on this device layers are computed in ${dtype}, which this model's activations overflow; take dtype ${way}`,
    { fieldPath: "dtype" },
  );
}
