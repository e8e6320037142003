import { randomUUID } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import pLimit from "p-limit";
import { RetortError } from "../shared/base/errors.js";
import { found } from "../shared/base/found.js";
import { patienceWithin } from "../shared/base/rpc/foreign-servers.js";
import type { Written } from "../shared/flow/rollouts/sample-task.js";
import type { TaskSample } from "../shared/flow/rollouts/sequences.js";
import type { ResolvedChat } from "../shared/flow/runs/chat.js";
import type { EnvironmentSettings } from "../shared/flow/runs/environment.js";
import type { SamplingSettings } from "../shared/flow/runs/resolve.js";
import type { Outcome } from "../shared/ml/host/model-host.js";
import type { EncodedReply, ReplyRequest } from "../shared/ml/host/texts.js";
import type { SampleRequest } from "../shared/ml/sampling/chunk.js";
import type { Environment, EpisodePatience } from "./environments/environment.js";
import { RunningEpisode } from "./running-episode.js";

/** What the episodes of a run ask of a model. */
export interface EpisodeModel {
  readonly sampleGroups: (
    groups: readonly (readonly SampleRequest[])[],
    sampling: SamplingSettings,
    onWritten: (group: number, outcomes: readonly Outcome[]) => void,
  ) => Promise<void>;
  readonly encodeReplies: (requests: readonly ReplyRequest[], chat: ResolvedChat) => Promise<EncodedReply[]>;
}

/** How a run's episodes go. */
export interface EpisodeRules extends Pick<EnvironmentSettings, "maxTurns" | "maxReplyTokens"> {
  /** How the conversations of its prompts become text. */
  readonly chat: ResolvedChat;
  /** How long a step may take, for tasks that don't say when theirs ends. */
  readonly stepTimeoutMs: number;
}

/** Most calls of an environment at a time. */
const callsAtOnce = 64;

/**
 * Writes completions of several turns: the student writes a turn, the environment answers, the chat template writes the answer
 * behind it, and so on. All samples of a call take their turns together, so that which of them share the model's passes follows
 * from what is written and answered alone: with an environment that answers alike, the same seed makes the same bits.
 *
 * What the student wrote stays token for token as it was sampled. An environment that fails is its sample's recorded outcome.
 */
export class Episodes {
  readonly #environment: Environment;
  readonly #model: EpisodeModel;
  readonly #rules: EpisodeRules;
  readonly #hurry = new AbortController();

  constructor(environment: Environment, model: EpisodeModel, rules: EpisodeRules) {
    this.#environment = environment;
    this.#model = model;
    this.#rules = rules;
  }

  /**
   * Writes groups of samples; `onWritten` hears of each group when all of it is written.
   *
   * @throws Cancelled when {@link Episodes.stop} is called meanwhile
   */
  async write(
    groups: readonly (readonly TaskSample[])[],
    sampling: SamplingSettings,
    onWritten: (group: number, written: readonly Written[]) => void,
  ): Promise<void> {
    const name = randomUUID();
    const all = groups.map((samples) => samples.map((sample) => new RunningEpisode(sample, name, sampling.maxNewTokens, this.#rules)));
    const patience = this.#patienceFor(groups.flat());
    const told = new Set<number>();
    const tell = () => {
      for (const [group, members] of all.entries()) {
        if (told.has(group) || members.some(({ outcome }) => !outcome)) continue;
        told.add(group);
        onWritten(
          group,
          members.map(({ outcome }) => found(outcome, "an episode's outcome")),
        );
      }
    };
    try {
      await this.#each(all.flat(), (episode) => episode.begin(this.#environment, patience));
      tell();
      while (told.size < all.length) {
        await this.#turn(
          all.flat().filter(({ outcome }) => !outcome),
          sampling,
        );
        tell();
      }
    } finally {
      for (const episode of all.flat()) episode.leave();
    }
  }

  /** Gives up what is being waited for: calls in progress reject as Cancelled. */
  stop(): void {
    this.#hurry.abort(new RetortError("Cancelled", "the student stops"));
  }

  /** Ends the environment's connections. */
  close(): void {
    this.stop();
    this.#environment.close();
  }

  /** One turn of every episode, its answer, and what the template makes of it. */
  async #turn(going: readonly RunningEpisode[], sampling: SamplingSettings): Promise<void> {
    let written: readonly Outcome[] = [];
    await this.#model.sampleGroups([going.map((episode) => episode.request())], sampling, (_, outcomes) => {
      written = outcomes;
    });
    const turns = new Map(going.map((episode, i) => [episode, found(written[i], "a turn's outcome")]));
    await this.#each(going, (episode) => episode.take(found(turns.get(episode), "a turn")));
    const answered = going.filter(({ outcome }) => !outcome);
    if (answered.length === 0) return;
    const replies = await this.#model.encodeReplies(
      answered.map((episode) => episode.replyRequest()),
      this.#rules.chat,
    );
    for (const [i, episode] of answered.entries()) episode.read(found(replies[i], "a reply"));
  }

  /** All are waited for: one that is given up leaves no other behind. */
  async #each(episodes: readonly RunningEpisode[], work: (episode: RunningEpisode) => Promise<void>): Promise<void> {
    const limit = pLimit(callsAtOnce);
    const settled = await Promise.allSettled(episodes.map((episode) => limit(() => work(episode))));
    for (const one of settled) if (one.status === "rejected") throw one.reason;
  }

  /** The tasks' deadline decides: one that has waited long has less. */
  #patienceFor(samples: readonly TaskSample[]): EpisodePatience {
    const deadline = samples.find(({ task }) => task.deadline)?.task.deadline;
    const leftMs = deadline ? timestampMs(deadline) - Date.now() : this.#rules.stepTimeoutMs;
    return { patienceMs: patienceWithin(leftMs), sinceMs: performance.now(), signal: this.#hurry.signal };
  }
}
