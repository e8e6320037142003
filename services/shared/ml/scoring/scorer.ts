import { counted } from "../../base/counted.js";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Graph } from "../graph/graph.js";
import { float32, int32 } from "../graph/tensor.js";
import { replyFault, textLength } from "../models/architectures/sequence-inputs.js";
import { inputsOf } from "../models/architectures/table.js";
import type { ModelConfig } from "../models/config/model-config.js";
import { allInMemory, type Constants } from "../models/constants.js";
import { withRoom } from "../models/forward/rotary.js";
import type { Adapter } from "../models/lora.js";
import { parameterCount } from "../models/model-params.js";
import { batchOverhead, cheapestBatches } from "../runtime/batches.js";
import { runInParts } from "../runtime/run-in-parts.js";
import { type Feeds, Session, type SessionOptions } from "../runtime/session.js";
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
}

/**
 * Most elements of the distributions that a forward on the CPU makes, more where one sequence has more: there, batches of a few
 * hundred tokens are as fast as larger ones, which only take more memory.
 */
const mostElements = 1 << 24;

/** Graphs that are kept: each holds a copy of the weights, and compiling one for another kind of signal takes as long as mapping them. */
const mostSessions = 1;

/** Scores completions under a model. Calls block their thread and must not overlap; a scorer belongs in a worker. */
export class Scorer {
  readonly #config: ModelConfig;
  readonly #weights: Constants;
  readonly #options: ScorerOptions;
  readonly #sessions: Sessions;
  readonly #adapter: Pick<Adapter, "lora" | "factors"> | undefined;

  /** @param adapter on the weights */
  constructor(config: ModelConfig, weights: Constants, options: ScorerOptions, adapter?: Pick<Adapter, "lora" | "factors">) {
    this.#adapter = adapter;
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
    this.#sessions = new Sessions(config.maxPositions, mostSessions);
  }

  /**
   * Scores every completion token of each sequence.
   *
   * @throws InvalidArgument for a sequence that is empty or longer than the model's positions, a token outside the
   *   vocabulary, student_top_k without its classes, or a signal with k out of bounds or a temperature that is not
   *   positive; OutOfRange for a hidden state that float16 cannot hold
   */
  async score(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    this.#checkSignal(signal);
    for (const [i, input] of inputs.entries()) {
      this.check(input, i);
      signals[signal.kind].check?.(input, signal.k, this.#config.vocabSize, i);
    }
    const scores = new Array<Score>(inputs.length);
    const lengths = inputs.map(inputsOf(this.#config).lengths);
    const { device, batchTokens } = this.#options;
    const budget = device === "cpu" ? Math.min(batchTokens, mostElements / this.#config.vocabSize) : batchTokens;
    const batches = cheapestBatches(lengths, budget, batchOverhead(parameterCount(this.#config)));
    const place = (members: readonly number[], outputs: Feeds) => {
      const answers = answersOf(outputs, pickedFrom(inputs, members), signal, this.#config.vocabSize);
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
    const weights = this.#options.weightsAsInputs ? "inputs" : this.#weights;
    return scoreGraph(withRoom(this.#config, room), weights, signal, this.#adapter?.lora);
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
      ...signals[signal.kind].feeds?.(inputs, signal.k),
    };
  }
}

const pickedFrom = <T>(items: readonly T[], places: readonly number[]): T[] => places.map((place) => found(items[place], "an item"));

/** Each sequence's part of the outputs of one forward. */
function answersOf(outputs: Feeds, inputs: readonly ScoreInput[], signal: Signal, vocab: number): Score[] {
  const rows = inputs.reduce((sum, { completionIds }) => sum + completionIds.length, 0);
  let row = 0;
  return inputs.map(({ completionIds, studentTopIds }) => {
    const [from, to] = [row, row + completionIds.length];
    row = to;
    const answer = signals[signal.kind].answer({ outputs, from, to, rows, k: signal.k, vocab, studentTopIds });
    const bad = answer.logprobs?.findIndex((x) => !(x < Number.POSITIVE_INFINITY)) ?? -1;
    if (bad >= 0)
      throw new RetortError(
        "DataLoss",
        `the log-probability of a completion's token ${bad} is ${answer.logprobs?.[bad]}; the model's logits are not finite: its weights are damaged, or its activations overflow`,
      );
    return { signal, ...answer };
  });
}
