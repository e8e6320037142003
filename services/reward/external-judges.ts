import { readFile } from "node:fs/promises";
import pRetry from "p-retry";
import { RetortError } from "../shared/base/errors.js";
import { type Client, createClient } from "../shared/base/rpc/client.js";
import { RewardService } from "../shared/gen/retort/v1/reward_pb.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_spec_pb.js";
import type { RewardSettings } from "./config.js";
import { addressOf, type JudgeAddress, tokenFor } from "./judge-tokens.js";
import { partsOf } from "./parts.js";
import type { Input, Term } from "./text-rewards.js";

type RewardClient = Client<typeof RewardService>;

/** How long a judge may be waited for. */
export interface Patience {
  /** Milliseconds for which one that is away or busy is asked again; 0 asks once. */
  readonly patienceMs: number;
  /** Gives up at once. */
  readonly signal: AbortSignal;
}

/** Longest time of one call, the least that the last one gets, and the pauses between calls, in milliseconds. */
const [callMs, leastMs, firstPauseMs, longestPauseMs] = [60_000, 5000, 250, 5000];

/** Most completions, and characters of theirs, of one call. */
const [callInputs, callCharacters] = [4096, 2 ** 23];

/** What a judge says of a completion is kept as far as this. */
const reasonLength = 1000;

/** What may be otherwise a little later. */
const passing = ["Unavailable", "ResourceExhausted", "DeadlineExceeded"];

/** Other servers of RewardService, each with a connection that is kept; over TLS where an address begins with https://. */
export class ExternalJudges {
  readonly #settings: RewardSettings;
  readonly #clients = new Map<string, Promise<RewardClient>>();

  constructor(settings: RewardSettings) {
    this.#settings = settings;
  }

  /**
   * The terms of completions. A judge that is away or busy is asked again, with growing pauses, as long as patience lasts.
   *
   * @throws what the judge answers, or why it cannot be asked; DataLoss for another number of rewards than of completions
   */
  async judge(inputs: readonly Input[], { address }: RewardSpec, patience: Patience): Promise<Term[]> {
    const until = performance.now() + patience.patienceMs;
    const terms: Term[] = [];
    for (const part of partsOf(inputs, callInputs, callCharacters)) terms.push(...(await this.#ask(part, address, until, patience)));
    return terms;
  }

  /** As {@link ExternalJudges.judge}; but whatever is wrong with the judge is the failure of each completion. @throws Cancelled */
  async judgeOrFail(inputs: readonly Input[], spec: RewardSpec, patience: Patience): Promise<Term[]> {
    const started = performance.now();
    try {
      return await this.judge(inputs, spec, patience);
    } catch (error) {
      const { code, message } = RetortError.from(error);
      if (patience.signal.aborted)
        throw new RetortError("Cancelled", `waiting for the reward server ${spec.address} was stopped`, { cause: error });
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const tried = passing.includes(code) ? `gave no rewards for ${seconds} s, however often it was asked` : "gave no rewards";
      return inputs.map(() => ({ failure: `the server ${tried} (${code}: ${cut(message)})` }));
    }
  }

  close(): void {
    for (const client of this.#clients.values())
      client.then(
        (open) => open.close(),
        () => {},
      );
  }

  #ask(inputs: readonly Input[], address: string, until: number, { patienceMs, signal }: Patience): Promise<Term[]> {
    const left = () => until - performance.now();
    const ask = () => this.#call(inputs, address, patienceMs ? Math.max(leastMs, Math.min(callMs, left())) : callMs, signal);
    return pRetry(ask, {
      retries: Number.MAX_SAFE_INTEGER,
      minTimeout: firstPauseMs,
      maxTimeout: longestPauseMs,
      randomize: true,
      signal,
      shouldRetry: ({ error }) => {
        const { code, retry } = RetortError.from(error);
        return passing.includes(code) && retry === "later" && left() > firstPauseMs;
      },
    });
  }

  async #call(inputs: readonly Input[], address: string, timeoutMs: number, signal: AbortSignal): Promise<Term[]> {
    const client = await this.#client(address);
    const { rewards } = await client.evaluate({ inputs: [...inputs], rewards: [] }, { timeoutMs, signal });
    if (rewards.length !== inputs.length)
      throw new RetortError("DataLoss", `the reward server ${address} gave ${rewards.length} rewards for ${inputs.length} completions`);
    return rewards.map(({ value, failure }) => (failure ? { failure: cut(failure) } : value));
  }

  #client(address: string): Promise<RewardClient> {
    const client = this.#clients.get(address) ?? this.#connect(addressOf(address));
    this.#clients.set(address, client);
    // An authority that cannot be read now may be there at the next call.
    client.catch(() => this.#clients.delete(address));
    return client;
  }

  async #connect(address: JudgeAddress): Promise<RewardClient> {
    const { maxMessageBytes, rewardTlsCa } = this.#settings;
    const token = tokenFor(address, this.#settings);
    const tls = address.tls ? { tls: { ca: rewardTlsCa === undefined ? undefined : await readFile(rewardTlsCa) } } : {};
    // A name, or the client would take `unix:1` for a socket of this machine.
    const scheme = /^[[\d]/.test(address.host) ? "" : "dns:";
    return createClient(RewardService, `${scheme}${address.host}:${address.port}`, { timeoutMs: callMs, maxMessageBytes, token, ...tls });
  }
}

const cut = (text: string): string => (text.length > reasonLength ? `${text.slice(0, reasonLength)} …` : text);
