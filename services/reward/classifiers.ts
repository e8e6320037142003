import { RetortError } from "../shared/base/errors.js";
import type { WorkerHandle } from "../shared/base/workers.js";
import type { RewardSpec } from "../shared/gen/retort/v1/run_spec_pb.js";
import { classOf } from "../shared/ml/classification/labels.js";
import type { ClassifierOptions } from "../shared/ml/classification/text-classifier.js";
import type { ClassifierDescription, ClassifierHost, Judgement } from "../shared/ml/host/classifier-host.js";
import { spawnClassifierHost } from "../shared/ml/host/spawn.js";
import type { ClassifierText, Input, Term } from "./text-rewards.js";

interface Opened {
  readonly worker: WorkerHandle<ClassifierHost>;
  readonly description: Promise<ClassifierDescription>;
}

/** Fills a reward's templates in for each completion. */
type Render = (inputs: readonly Input[], spec: RewardSpec) => Promise<readonly (ClassifierText | { readonly failure: string })[]>;

/** Most classifiers that a process keeps open. */
const most = 8;

/** The classifiers of a process, each in a worker thread of its own that is started when it is first asked for. */
export class Classifiers {
  readonly #options: ClassifierOptions;
  readonly #onCrash: (error: RetortError) => void;
  readonly #render: Render;
  readonly #opened = new Map<string, Opened>();

  /** @param render fills templates in; one that fails is that completion's failure */
  constructor(options: ClassifierOptions, render: Render, onCrash: (error: RetortError) => void) {
    this.#options = options;
    this.#render = render;
    this.#onCrash = onCrash;
  }

  /** Opens a reward's classifier and looks for its class. @throws NotFound or InvalidArgument naming file or class */
  async open({ model, label }: RewardSpec): Promise<void> {
    classOf(label, (await this.#open(model).description).labels);
  }

  /**
   * The reward of each completion: the probability of the label, or the only logit of a model with one.
   *
   * @throws NotFound or InvalidArgument naming file or class; ResourceExhausted if too many classifiers are open
   */
  async judge(inputs: readonly Input[], spec: RewardSpec): Promise<Term[]> {
    const { model, label } = spec;
    const { worker, description } = this.#open(model);
    const { labels, multiLabel } = await description;
    const index = classOf(label, labels);
    const texts = await this.#render(inputs, spec);
    const judgements = await worker.api.classify(texts.filter((text): text is ClassifierText => !("failure" in text)));
    let next = 0;
    return texts.map((text) => {
      const judgement: Judgement = "failure" in text ? text : judgements[next++]!;
      return "failure" in judgement ? judgement : rewardOf(judgement, index, multiLabel);
    });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#opened.values()].map(({ worker }) => worker.close()));
  }

  #open(model: string): Opened {
    const known = this.#opened.get(model);
    if (known) return known;
    if (this.#opened.size >= most)
      throw new RetortError(
        "ResourceExhausted",
        `${most} classifiers are open here already (${[...this.#opened.keys()].join(", ")}); ask another reward process for ${model}`,
        { retry: "never" },
      );
    const worker = spawnClassifierHost();
    worker.crashed.then(this.#onCrash);
    const description = worker.api.open(model, this.#options);
    const opened = { worker, description };
    this.#opened.set(model, opened);
    // What cannot be opened now may be there at the next call.
    description.catch(() => {
      this.#opened.delete(model);
      return worker.close();
    });
    return opened;
  }
}

/** The probability of a class: of several one (softmax), or each by itself (sigmoid); the logit itself where there is only one. */
function rewardOf(logits: Float32Array, index: number | undefined, multiLabel: boolean): number {
  if (index === undefined) return logits[0]!;
  if (multiLabel) return 1 / (1 + Math.exp(-logits[index]!));
  const largest = Math.max(...logits);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  return Math.exp(logits[index]! - largest) / total;
}
