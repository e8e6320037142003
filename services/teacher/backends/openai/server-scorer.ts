import { RetortError } from "../../../shared/base/errors.js";
import { found } from "../../../shared/base/found.js";
import type { ServerSpec } from "../../../shared/gen/retort/v1/server_pb.js";
import { behindPrompt, replyFault } from "../../../shared/ml/models/architectures/sequence-inputs.js";
import type { Score, Signal } from "../../../shared/ml/signals/score.js";
import type { ScoreInput } from "../../../shared/ml/signals/signal.js";
import type { Asked } from "./dialect.js";
import type { Endpoint } from "./endpoint.js";
import type { ServerMeters } from "./meters.js";
import type { ProbedServer } from "./probe.js";
import { scoreOf } from "./scores.js";

/** What a scorer asks, and how. */
interface ServerScorerOptions {
  readonly endpoint: Endpoint;
  readonly server: ServerSpec;
  readonly probed: ProbedServer;
  /** Rows of the vocabulary that distributions range over. */
  readonly rows: number;
  readonly meters: ServerMeters | undefined;
}

/** A sequence as a server reads it: of what follows its prompt, the completion's tokens are scored. */
interface AskedSequence extends Asked {
  readonly completionIds: readonly number[];
  /** Of each completion token, behind the prompt. */
  readonly places: Int32Array;
}

/** Scores by a server: several texts to a request, and no more requests at a time than the endpoint lets through. */
export class ServerScorer {
  readonly #options: ServerScorerOptions;

  constructor(options: ServerScorerOptions) {
    this.#options = options;
  }

  /**
   * Scores every completion token of each sequence.
   *
   * @throws Unimplemented for a signal that the server does not give; InvalidArgument for a sequence that is empty, holds ids
   *   outside the vocabulary or is refused by the server; what {@link Endpoint.post} throws
   */
  async score(inputs: readonly ScoreInput[], signal: Signal): Promise<Score[]> {
    this.#checkSignal(signal);
    const asked = inputs.map((input, i) => this.#asked(input, i));
    const size = this.#options.server.batchSize || 8;
    const parts = Array.from({ length: Math.ceil(asked.length / size) }, (_, i) => asked.slice(i * size, (i + 1) * size));
    return (await Promise.all(parts.map((part) => this.#ask(part, signal)))).flat();
  }

  async #ask(asked: readonly AskedSequence[], signal: Signal): Promise<Score[]> {
    const { endpoint, server, probed, rows, meters } = this.#options;
    const { dialect, model } = probed;
    const body = dialect.body(model, asked, signal.kind === "top_k" ? signal.k : 1);
    const answer = await endpoint.post(dialect.path, body).catch(outage);
    meters?.read(
      asked.reduce((sum, { ids }) => sum + ids.length, 0),
      server.pricePerMillionTokens,
    );
    return dialect.read(answer, asked).map((told, i) => {
      const { completionIds, places } = found(asked[i], "a sequence that was asked about");
      const own = Array.from(places, (place) => found(told[place], "what was told of a completion token"));
      return scoreOf(own, { ids: completionIds, from: 0 }, signal, rows);
    });
  }

  #asked(input: ScoreInput, i: number): AskedSequence {
    const { promptIds, completionIds } = input;
    const { rows, probed } = this.#options;
    const refuse = (message: string) => {
      throw new RetortError("InvalidArgument", `sequence ${i}: ${message}`);
    };
    if (promptIds.length === 0 || completionIds.length === 0) refuse("prompt and completion need at least one token each");
    const fault = replyFault(input);
    if (fault) refuse(fault);
    const rest = behindPrompt(input);
    const ids = [...promptIds, ...rest.ids];
    const { maxTokens } = probed;
    // The server writes one token more.
    if (maxTokens !== undefined && ids.length >= maxTokens)
      refuse(`${ids.length} tokens exceed the ${maxTokens - 1} that the server scores; start it with a longer context`);
    const stray = ids.find((id) => id < 0 || id >= rows);
    if (stray !== undefined) refuse(`token id ${stray} is outside the vocabulary of ${rows}`);
    return { ids, from: promptIds.length, completionIds: [...completionIds], places: rest.places };
  }

  #checkSignal({ kind, k, temperature }: Signal): void {
    const { probed, endpoint } = this.#options;
    const refuse = (field: string, value: unknown, way: string) => {
      throw new RetortError("Unimplemented", `signal.${field} is ${value}; ${endpoint.url} ${way}`, { fieldPath: `signal.${field}` });
    };
    if (kind !== "sampled" && kind !== "top_k")
      refuse("kind", kind, "gives log-probabilities of the given token and of the most probable classes: ask for sampled or top_k");
    if (temperature !== 1) refuse("temperature", temperature, "gives log-probabilities at temperature 1, of which another's do not follow");
    if (kind === "top_k" && !(k >= 1 && k <= probed.largestK)) refuse("k", k, `gives 1 to ${probed.largestK} classes at a token`);
  }
}

/** A model that was there and is not found any more is being restarted, or replaced: that passes. */
function outage(error: unknown): never {
  const known = RetortError.from(error);
  throw known.code === "NotFound" ? new RetortError("Unavailable", known.message, { cause: error }) : known;
}
