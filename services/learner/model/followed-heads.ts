import { found } from "../../shared/base/found.js";
import { openCheckpoint } from "../../shared/ml/models/checkpoint/open.js";
import { readStored } from "../../shared/ml/models/checkpoint/read.js";
import { allInMemory, type Constants, unrounded } from "../../shared/ml/models/constants.js";
import { headDigest, type Model } from "../../shared/ml/models/model.js";
import { headName } from "../../shared/ml/models/model-params.js";
import type { Trainer } from "../../shared/ml/training/trainer.js";

/** The heads of the student's versions that teachers follow, for the states that these send. */
export class FollowedHeads {
  /** Digests, by version. */
  readonly #kept = new Map<number, string>();

  /**
   * Gives the trainer the head of a version, and takes those away that only versions before `oldest` had.
   *
   * @param model as it has the version, its weights float32 [V, D] or an adapter's base in files
   * @param directory has the version's weights instead of the model
   */
  async keep(trainer: Trainer, model: Model<Constants>, version: number, oldest: number, directory?: string): Promise<void> {
    const { config, adapter } = model;
    const name = headName(config);
    // What an adapter is put on stays as it is.
    const weights = directory && !adapter ? await weightsIn(directory, name) : model.params;
    const head = { ...found(weights.get(name), `the head ${name}`), softCap: config.logitSoftCap };
    const digest = headDigest(head);
    if (![...this.#kept.values()].includes(digest)) {
      const own = found(allInMemory(unrounded(new Map([[name, head]]))).get(name), "the head");
      // The trainer changes its weights where they are.
      trainer.addHead({ ...own, data: own.data.slice(), softCap: head.softCap });
    }
    this.#kept.set(version, digest);
    for (const old of [...this.#kept.keys()].filter((one) => one < oldest)) {
      const gone = found(this.#kept.get(old), "a head's digest");
      this.#kept.delete(old);
      if (![...this.#kept.values()].includes(gone)) trainer.dropHead(gone);
    }
  }
}

async function weightsIn(directory: string, name: string): Promise<Constants> {
  const { tensors } = await openCheckpoint(directory);
  return readStored(new Map([[name, found(tensors.get(name), `the head ${name} in ${directory}`)]]));
}
