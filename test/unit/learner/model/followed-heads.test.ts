import { FollowedHeads } from "../../../../services/learner/model/followed-heads.js";
import { float32 } from "../../../../services/shared/ml/graph/tensor.js";
import { loadModel } from "../../../../services/shared/ml/models/files/model-files.js";
import { type Head, headDigest, type Model } from "../../../../services/shared/ml/models/model.js";
import { headName } from "../../../../services/shared/ml/models/model-params.js";
import type { Trainer } from "../../../../services/shared/ml/training/trainer.js";

describe("FollowedHeads", () => {
  const directory = "deploy/examples/num2words/models/student";
  let model: Model;
  let heads: Map<string, Head>;
  let trainer: Trainer;
  let kept: FollowedHeads;

  beforeEach(async () => {
    model = await loadModel(directory);
    heads = new Map();
    const fake = {
      addHead: (head: Head) => heads.set(headDigest(head), head),
      dropHead: (digest: string) => heads.delete(digest),
    };
    trainer = fake as unknown as Trainer;
    kept = new FollowedHeads();
  });

  const name = () => headName(model.config);
  const own = () => ({ ...model.params.get(name())!, softCap: model.config.logitSoftCap });
  /** A step, which changes weights where they are. */
  const train = () => {
    const { data } = own();
    data.set(data.map((value) => value + 1));
  };

  it("has the head of each version as it was, until no step asks for it", async () => {
    const digests: string[] = [];
    for (const [version, oldest] of [
      [0, 0],
      [2, 0],
      [4, 2],
    ] as const) {
      await kept.keep(trainer, model, version, oldest);
      digests.push(headDigest(own()));
      train();
    }
    expect([...heads.keys()]).toEqual(digests.slice(1));
    // Nothing that came later has changed what is kept.
    for (const [digest, head] of heads) expect(headDigest(head)).toBe(digest);
  });

  it("reads the head of a checkpoint's version from its files", async () => {
    const before = headDigest(own());
    train();
    await kept.keep(trainer, model, 6, 6, directory);
    expect([...heads.keys()]).toEqual([before]);
    await kept.keep(trainer, model, 8, 8);
    expect([...heads.keys()]).toEqual([headDigest(own())]);
  });

  it("keeps one head for all versions of an adapter: that of its base", async () => {
    const adapter = { lora: {}, factors: new Map([["a", float32([1], [1])]]) } as unknown as NonNullable<Model["adapter"]>;
    for (const version of [0, 1, 2, 3]) await kept.keep(trainer, { ...model, adapter }, version, version - 1);
    await kept.keep(trainer, { ...model, adapter }, 9, 9, "no/such/directory");
    expect([...heads.keys()]).toEqual([headDigest(own())]);
  });
});
