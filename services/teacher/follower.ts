import { setTimeout as sleep } from "node:timers/promises";
import { RetortError } from "../shared/base/errors.js";
import { found } from "../shared/base/found.js";
import type { Log } from "../shared/base/log.js";
import { Policy } from "../shared/codec/policy.js";
import { WeightsTurns } from "../shared/codec/weights-turns.js";
import { type FollowSettings, followedVersion } from "../shared/flow/runs/follow.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { Work } from "../shared/gen/retort/v1/events_pb.js";
import { Purpose, type RolloutValid } from "../shared/gen/retort/v1/flow_pb.js";
import type { ModelSource } from "../shared/ml/host/model-host.js";
import type { ReplaceableWeights, TeacherModel } from "./backends/backend.js";
import type { ScoringWeights } from "./scorer.js";

/** What a follower needs of its surroundings. */
export interface FollowerParts {
  readonly membership: Membership;
  readonly follow: FollowSettings;
  /** Whether scores name the head that turns hidden states into logits. */
  readonly needsHead: boolean;
  /** Aborted when the process closes. */
  readonly closing: AbortSignal;
  readonly log: Log;
}

/** A teacher that is its run's student: it has the version that each rollout names, which the learner has published. */
export class Follower {
  readonly #parts: FollowerParts;
  readonly #policy: Policy;
  readonly #turns = new WeightsTurns();
  #weights: ReplaceableWeights | undefined;
  /** Of the version in use. */
  #headDigest = "";

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    const { membership, follow, log } = parts;
    const { runId, store, runs, name, run } = membership;
    const ahead = (newest: number) => followedVersion(follow, { step: newest + 1, maxStaleness: run.maxStaleness, fromStep: 0 });
    const places = { runId, store, directory: store.holding(runId, name), ahead, average: follow.decay !== undefined };
    this.#policy = new Policy(places, runs, (directory) => this.#take(directory), log);
  }

  /** Opens the model, as the run's first version has it. Waits until that is there. @param open opens it from where its weights are */
  async open(open: (source: ModelSource) => Promise<TeacherModel>): Promise<TeacherModel> {
    const { membership, closing } = this.#parts;
    const first = await membership.process.during(Work.WAITING, "the run's first weights", () => this.#policy.first(closing));
    const model = await open(first);
    this.#weights = found(model.weights, "what replaces the weights of a teacher that follows the student");
    return model;
  }

  /** Hears of the versions that the learner announces, until the process closes. @throws what ends it before */
  listen(): Promise<void> {
    return this.#policy.follow(this.#parts.closing);
  }

  /**
   * Runs work with the version that a rollout asks for, which stays until it has ended.
   *
   * @returns undefined if no one waits for the rollout any more: its learner has been replaced, or its step is over
   * @throws InvalidArgument if it names no version; Cancelled when the signal comes first
   */
  async under<T>(
    { key, teacherVersion: version }: Pick<RolloutValid, "key" | "teacherVersion">,
    signal: AbortSignal,
    work: (weights: Omit<ScoringWeights, "cache">) => Promise<T>,
  ): Promise<T | undefined> {
    if (version === undefined)
      throw new RetortError(
        "InvalidArgument",
        "the rollout names no teacherVersion, and this teacher follows the student; do all roles have the same version?",
      );
    // Its learner has what it asked for when it makes the version behind this.
    const last = key.purpose === Purpose.TRAIN ? key.step - 1 : key.step;
    while (await this.#policy.announced(BigInt(key.attempt), version, last, signal)) {
      const done = await this.#at(version, async () => {
        const result = await work({ version, digest: this.#policy.digest, headDigest: this.#headDigest });
        return { result };
      });
      if (done) return done.result;
      await sleep(20);
    }
    return undefined;
  }

  /** Runs work with the student as the run begins with it; undefined if that can't be had just now. */
  atStart<T>(work: () => Promise<T>): Promise<T | undefined> {
    return this.#at(0, work);
  }

  /** The student's version that the model has. */
  get version(): number {
    return Math.max(0, this.#policy.version);
  }

  /** Removes what is held: nothing may use it any more. */
  release(): Promise<void> {
    return this.#policy.release();
  }

  #at<T>(version: number, work: () => Promise<T>): Promise<T | undefined> {
    const { membership } = this.#parts;
    const load = () => this.#policy.use(version, version);
    const isInUse = () => this.#policy.isInUse(version);
    const use = () => (isInUse() ? load() : membership.process.during(Work.LOADING, `version ${version} of the student`, load));
    return this.#turns.under({ isInUse, use, isAlone: false }, work);
  }

  async #take(directory: string): Promise<void> {
    const weights = found(this.#weights, "the model of a teacher that follows the student");
    await weights.use(directory);
    if (this.#parts.needsHead) this.#headDigest = await weights.headDigest();
  }
}
