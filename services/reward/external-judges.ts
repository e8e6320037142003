import { RetortError } from "../shared/base/errors.js";
import { excerpt, ForeignServers, type Patience } from "../shared/base/rpc/foreign-servers.js";
import { RewardService } from "../shared/gen/retort/v1/reward_pb.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_spec_pb.js";
import { foreignJudges, type RewardSettings } from "./config.js";
import { partsOf } from "./parts.js";
import type { Input, Term } from "./text-rewards.js";

/** Most completions, and characters of theirs, of one call. */
const [callInputs, callCharacters] = [4096, 2 ** 23];

/** Other servers of RewardService. */
export class ExternalJudges {
  readonly #servers: ForeignServers<typeof RewardService>;

  constructor(settings: RewardSettings) {
    this.#servers = new ForeignServers(RewardService, foreignJudges(settings));
  }

  /**
   * The terms of completions. A judge that is away or busy is asked again, with growing pauses, as long as patience lasts.
   *
   * @throws what the judge answers, or why it cannot be asked; DataLoss for another number of rewards than of completions
   */
  async judge(inputs: readonly Input[], { address }: RewardSpec, patience: Patience): Promise<Term[]> {
    const sinceMs = performance.now();
    const terms: Term[] = [];
    for (const part of partsOf(inputs, callInputs, callCharacters)) terms.push(...(await this.#ask(part, address, patience, sinceMs)));
    return terms;
  }

  /** As {@link ExternalJudges.judge}; but whatever is wrong with the judge is the failure of each completion. @throws Cancelled */
  async judgeOrFail(inputs: readonly Input[], spec: RewardSpec, patience: Patience): Promise<Term[]> {
    const sinceMs = performance.now();
    try {
      return await this.judge(inputs, spec, patience);
    } catch (error) {
      const failure = this.#servers.failure(error, spec.address, sinceMs, "rewards", patience);
      return inputs.map(() => ({ failure }));
    }
  }

  close(): void {
    this.#servers.close();
  }

  async #ask(inputs: readonly Input[], address: string, patience: Patience, sinceMs: number): Promise<Term[]> {
    const request = { inputs: [...inputs], rewards: [] };
    const { rewards } = await this.#servers.ask(address, (client, options) => client.evaluate(request, options), patience, sinceMs);
    if (rewards.length !== inputs.length)
      throw new RetortError("DataLoss", `the reward server ${address} gave ${rewards.length} rewards for ${inputs.length} completions`);
    return rewards.map(({ value, failure }) => (failure ? { failure: excerpt(failure) } : value));
  }
}
