import { RetortError } from "../shared/base/errors.js";
import { patienceWithin } from "../shared/base/rpc/foreign-servers.js";
import { threadCount } from "../shared/base/settings.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_spec_pb.js";
import { Classifiers } from "./classifiers.js";
import type { RewardSettings } from "./config.js";
import type { Judges } from "./evaluator.js";
import { ExternalJudges } from "./external-judges.js";
import { TextJudges } from "./text-judges.js";

/** Most tokens of one forward of a classifier, padding included. */
const batchTokens = 8192;

/** The judges of a reward process: texts and classifiers in its threads, others by gRPC. */
export class RewardJudges {
  readonly texts = new TextJudges();
  readonly #classifiers: Classifiers;
  readonly #external: ExternalJudges;
  readonly #hurry = new AbortController();

  /** @param onCrash told of a classifier whose thread was lost */
  constructor(settings: RewardSettings, onCrash: (error: RetortError) => void) {
    const { device, threads } = settings;
    const options = { device, threads: threadCount(threads), batchTokens };
    this.#classifiers = new Classifiers(options, (inputs, spec) => this.texts.render(inputs, spec), onCrash);
    this.#external = new ExternalJudges(settings);
  }

  /** Aborted when judgements are no longer waited for. */
  get hurry(): AbortSignal {
    return this.#hurry.signal;
  }

  /** Opens the classifiers among some rewards. @throws NotFound or InvalidArgument naming file or class */
  async open(rewards: readonly RewardSpec[]): Promise<void> {
    for (const reward of rewards) if (reward.kind === "classifier") await this.#classifiers.open(reward);
  }

  /** As a caller is judged for, who knows better how long to wait, and may call again. */
  get forCalls(): Judges {
    return {
      text: (inputs, spec) => this.texts.judge(inputs, spec),
      classifier: (inputs, spec) => this.#classifiers.judge(inputs, spec),
      external: (inputs, spec) => this.#external.judge(inputs, spec, { patienceMs: 0, signal: this.hurry }),
    };
  }

  /** As a run is judged for: a judge that is away is waited for, and then is its completions' failure. */
  forRun(stepTimeoutMs: number): Judges {
    const patience = { patienceMs: patienceWithin(stepTimeoutMs), signal: this.hurry };
    return { ...this.forCalls, external: (inputs, spec) => this.#external.judgeOrFail(inputs, spec, patience) };
  }

  /** Gives up what is being judged, and ends every thread and connection. May be called more than once. */
  async stop(): Promise<void> {
    this.#hurry.abort(new RetortError("Cancelled", "the reward process stops"));
    this.#external.close();
    await Promise.all([this.texts.stop(), this.#classifiers.stop()]);
  }
}
