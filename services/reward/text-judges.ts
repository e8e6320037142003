import { type Problem, RetortError } from "../shared/base/errors.js";
import { WorkerPool } from "../shared/base/worker-pool.js";
import type { WorkerClient } from "../shared/base/workers.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_spec_pb.js";
import { partsOf } from "./parts.js";
import { type ClassifierText, type Input, type Term, type TextRewards, tookTooLong } from "./text-rewards.js";

/** Threads, and MiB of JavaScript heap of each. */
const [threads, memoryMb] = [2, 512];

/** Completions, and characters of theirs, of one turn of a thread: other calls come in between. */
const [turnInputs, turnCharacters] = [64, 2 ** 20];

/** A turn's longest time: every completion may take its own, 10 s; beyond that the thread hangs. */
const turnMs = 60_000;

type Failed = { readonly failure: string };

/**
 * Rewards by texts, in threads of their own: patterns and templates are written by users, and may never end. A completion that takes
 * too long or too much memory has a failure; the others keep their terms, and other calls go on meanwhile.
 */
export class TextJudges {
  readonly #pool = new WorkerPool<TextRewards>(new URL("./text-worker.js", import.meta.url), { size: threads, memoryMb });

  /** What is wrong with a call's rewards. @throws ResourceExhausted if a template takes too long to find out */
  problems(specs: readonly RewardSpec[]): Promise<Problem[]> {
    return this.#pool.run((api) => api.problems(plain(specs)), { timeoutMs: 10_000, what: "checking the rewards" });
  }

  /** A reward's term of each completion. @throws InvalidArgument for a pattern that is none; Cancelled when stopped */
  judge(inputs: readonly Input[], spec: RewardSpec): Promise<Term[]> {
    return this.#inTurns(inputs, spec.kind, (api, part, slow) => api.judge(part, plain(spec), slow));
  }

  /** What a classifier reads of each completion. @throws InvalidArgument for a template that is none; Cancelled when stopped */
  render(inputs: readonly Input[], spec: RewardSpec): Promise<(ClassifierText | Failed)[]> {
    return this.#inTurns(inputs, "the template", (api, part, slow) => api.render(part, plain(spec), slow));
  }

  /** Ends the threads; calls in progress reject as Cancelled. */
  stop(): Promise<void> {
    return this.#pool.stop();
  }

  async #inTurns<T>(inputs: readonly Input[], what: string, work: Work<T>): Promise<(T | Failed)[]> {
    const results: (T | Failed)[] = [];
    for (const part of partsOf(inputs.map(plainInput), turnInputs, turnCharacters))
      results.push(...(await this.#turn(part, what, work, slowOf(results))));
    return results;
  }

  async #turn<T>(part: readonly Input[], what: string, work: Work<T>, slow: number): Promise<(T | Failed)[]> {
    try {
      return await this.#pool.run((api) => work(api, part, slow) as Promise<(T | Failed)[]>, { timeoutMs: turnMs, what });
    } catch (error) {
      const known = RetortError.from(error);
      if (known.code !== "ResourceExhausted") throw known;
      if (part.length === 1) return [{ failure: known.message }];
      // The thread is gone, and with it what it had: who it was that took it along is found by going one by one.
      const each: (T | Failed)[] = [];
      for (const input of part) each.push(...(await this.#turn([input], what, work, slow + slowOf(each))));
      return each;
    }
  }
}

type Work<T> = (api: WorkerClient<TextRewards>, part: readonly Input[], slow: number) => Promise<readonly (T | Failed)[]>;

const slowOf = (results: readonly unknown[]): number =>
  results.filter((one) => typeof one === "object" && one !== null && "failure" in one && String(one.failure).includes(tookTooLong)).length;

/** Without what a thread cannot be sent. */
const plainInput = ({ prompt, completion, reference, completionTokens }: Input): Omit<Input, "environmentReward"> => ({
  prompt,
  completion,
  reference,
  completionTokens,
});

const plain = <T>(message: T): T => structuredClone(message);
