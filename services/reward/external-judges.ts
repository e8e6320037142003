import { readFile } from "node:fs/promises";
import { type Client, createClient } from "../shared/base/rpc/client.js";
import { RewardService } from "../shared/gen/retort/v1/reward_pb.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_pb.js";
import type { RewardSettings } from "./config.js";
import type { Input, Term } from "./evaluator.js";

type RewardClient = Client<typeof RewardService>;

/** Other servers of RewardService, each with a connection that is kept; over TLS where an address begins with https://. */
export class ExternalJudges {
  readonly #settings: RewardSettings;
  readonly #clients = new Map<string, Promise<RewardClient>>();

  constructor(settings: RewardSettings) {
    this.#settings = settings;
  }

  async judge(inputs: readonly Input[], { address }: RewardSpec): Promise<Term[]> {
    const { rewards } = await (await this.#client(address)).evaluate({ inputs: [...inputs], rewards: [] });
    return rewards.map(({ value, failure }) => (failure ? { failure } : value));
  }

  close(): void {
    for (const client of this.#clients.values())
      client.then(
        (open) => open.close(),
        () => {},
      );
  }

  #client(address: string): Promise<RewardClient> {
    const client = this.#clients.get(address) ?? this.#connect(address);
    this.#clients.set(address, client);
    // An authority that cannot be read now may be there at the next call.
    client.catch(() => this.#clients.delete(address));
    return client;
  }

  async #connect(address: string): Promise<RewardClient> {
    const { maxMessageBytes, rewardTlsCa, rewardToken: token } = this.#settings;
    const [, scheme, host] = /^(https:\/\/)?(.*)$/.exec(address)!;
    const tls = scheme ? { tls: { ca: rewardTlsCa === undefined ? undefined : await readFile(rewardTlsCa) } } : {};
    return createClient(RewardService, host!, { timeoutMs: 60_000, maxMessageBytes, token, ...tls });
  }
}
