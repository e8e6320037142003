import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStudent } from "../../../../services/learner/model/open-student.js";
import { TrainHost } from "../../../../services/learner/model/train-host.js";
import { ModelHost } from "../../../../services/shared/ml/host/model-host.js";
import { tensorsOf } from "../../../../services/shared/ml/models/checkpoint/open.js";
import { dtypeOf, placedWeights } from "../../../../services/shared/ml/models/checkpoint/stored-weights.js";
import { allInMemory } from "../../../../services/shared/ml/models/constants.js";
import { loadModel, saveModel } from "../../../../services/shared/ml/models/files/model-files.js";
import { digestOf } from "../../../../services/shared/ml/models/model.js";
import { weightOf } from "../../../../services/shared/ml/models/param-spec.js";
import { weightsAt } from "../../../../services/shared/ml/models/precision/dtype.js";
import { writeShards, writtenTensors } from "../../../../services/shared/ml/models/safetensors/write-shards.js";
import { expectAllClose } from "../../../support/jest/all-close.js";
import { plainObjective } from "../../../support/loss/loss.js";
import { smallModel } from "../../../support/models/small-model.js";

const lora = { r: 2, alpha: 4, useRslora: false, targetModules: ["q_proj"], seed: 3n };
const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 };
const options = { device: "cpu", threads: 1, objective: plainObjective, optimizer, microBatchTokens: 1000 } as const;

describe("a student that an adapter is trained on", () => {
  const model = smallModel();
  let root: string;
  let directory: string;
  let checkpoint: string;
  const embedding = "model.embed_tokens.weight";

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-student-"));
    [directory, checkpoint] = [join(root, "base"), join(root, "step-00000004")];
    await saveModel(directory, model);
    const host = new TrainHost();
    await host.open({ directory, adapter: lora }, options);
    const { digest } = await host.save(checkpoint, true);
    await writeFile(join(checkpoint, "state.json"), JSON.stringify({ step: 4, digest, files: {} }));
  });
  afterEach(() => rm(root, { recursive: true }));

  it("goes on from its checkpoint, with the base's own weights", async () => {
    const { weights, state, base, trainable } = await openStudent({ directory, adapter: { ...lora, seed: 9n } }, { checkpoint });
    const first = await openStudent({ directory, adapter: lora });
    expect(state).toMatchObject({ updates: 4 });
    expect(trainable.published).toBe("adapter");
    expect(base).toEqual(first.base);
    // The factors are the checkpoint's, and not new ones from another seed.
    for (const [name, tensor] of first.weights) expect(weights.get(name)).toEqual(tensor);
    expect(allInMemory(weights).get(embedding)).toEqual(weightOf(model.params, embedding));
  });

  it("publishes all of it the first time, and then its adapter alone", async () => {
    const host = new TrainHost();
    await host.open({ directory, adapter: lora }, options);
    const written = async (name: string, whole: boolean) => {
      await mkdir(join(root, name));
      return (await host.writeVersion(join(root, name), whole)).map((file) => file.name);
    };
    expect(await written("first", true)).toEqual([
      "adapter_config.json",
      "adapter_model.safetensors",
      "config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(await written("next", false)).toEqual(["adapter_model.safetensors"]);
  });

  it("is refused on another base than its checkpoint's", async () => {
    const { data, dims } = weightOf(model.params, embedding);
    const changed = { dtype: "float32" as const, dims, data: data.map((x, i) => (i === 5 ? x + 1e-3 : x)) };
    await saveModel(directory, { ...model, params: new Map([...model.params, [embedding, changed]]) });
    await expect(openStudent({ directory, adapter: lora }, { checkpoint })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/holds an adapter of .*base with the weights .*put the base model's weights back/),
    });
  });

  it.each<[string, Partial<typeof lora>, string]>([
    ["rank", { r: 3 }, "r is 2 instead of 3"],
    ["scale", { alpha: 2, useRslora: true }, "alpha is 4 instead of 2, useRslora is false instead of true"],
    [
      "layers",
      { targetModules: ["k_proj"] },
      "it has nothing for model.layers.0.self_attn.k_proj and 1 more layers, it adapts model.layers.0.self_attn.q_proj and 1 more layers",
    ],
  ])("is refused with another adapter than its checkpoint's, by what differs: %s", async (_, change, differ) => {
    await expect(openStudent({ directory, adapter: { ...lora, ...change } }, { checkpoint })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: `the checkpoint ${checkpoint} holds another adapter than the run's: ${differ}; remove the checkpoint, or restore the spec it began with`,
    });
  });

  it("is refused where a checkpoint is that of all weights, with the way out", async () => {
    const host = new TrainHost();
    await host.open({ directory }, options);
    await host.save(join(root, "full"), true);
    await expect(openStudent({ directory, adapter: lora }, { checkpoint: join(root, "full") })).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringMatching(/is not that of an adapter.*no base\.json; remove the checkpoint, or restore the spec/),
    });
  });

  it.each([
    ["cut off", '{"directory": "/mod', /base\.json is damaged \(.*JSON.*\); remove the checkpoint .*step-00000004, or restore the file/],
    ["of another shape", '{"directory": 1, "digest": "a"}', /base\.json is damaged \(no text at directory\); remove/],
    ["of none", "[]", /base\.json is damaged \(no text at its top\); remove/],
  ])("is told of a base.json that is %s, by the file's name", async (_, text, message) => {
    await writeFile(join(checkpoint, "base.json"), text);
    await expect(openStudent({ directory, adapter: lora }, { checkpoint })).rejects.toMatchObject({
      code: "DataLoss",
      message: expect.stringMatching(message),
    });
  });

  it("is told of a base.json that cannot be read", async () => {
    await rm(join(checkpoint, "base.json"));
    await mkdir(join(checkpoint, "base.json"));
    await expect(openStudent({ directory, adapter: lora }, { checkpoint })).rejects.toThrow(/base\.json cannot be read \(EISDIR\)/);
  });

  it("may be an adapter's directory, but not with another adapter on it", async () => {
    const adapter = join(root, "adapter");
    await cp(checkpoint, adapter, { recursive: true });
    const { model: found } = await openStudent({ directory: adapter });
    expect(found.adapter).toMatchObject({ base: directory, lora: { r: 2, alpha: 4 } });
    await expect(openStudent({ directory: adapter, adapter: lora })).rejects.toThrow(
      /is an adapter already, of rank 2; leave student.lora out/,
    );
    expect(JSON.parse(await readFile(join(adapter, "base.json"), "utf8"))).toMatchObject({ directory });
  });

  it("keeps its adapter where the vocabulary is cut", async () => {
    const { model: cut, weights } = await openStudent({ directory, adapter: lora }, { checkpoint, rows: 100 });
    expect(cut.config.vocabSize).toBe(100);
    expect(weights.get(embedding)?.dims).toEqual([100, 32]);
    expect(cut.adapter?.lora.layers).toHaveLength(2);
  });
});

describe("a student of half precision that an adapter is trained on", () => {
  const model = smallModel();
  const asked = { kind: "full", k: 1, temperature: 1 } as const;
  const sequence = { promptIds: Int32Array.of(5, 6), completionIds: Int32Array.of(7, 8, 9) };
  const seeing = { ...options, chunkTokens: 4, maxRows: 4, batchTokens: 64 };
  let root: string;
  let directory: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-student-"));
    directory = join(root, "base");
    await saveModel(directory, model);
    const half = weightsAt(model.config, model.params, "bfloat16");
    await writeShards(directory, writtenTensors(half.weights));
    half.close();
  });
  afterEach(() => rm(root, { recursive: true }));

  it("is held as its checkpoint has it, without a file beside it, and computes what that says", async () => {
    const { weights, dtype, base } = await openStudent({ directory, adapter: lora });
    const file = join(directory, "model.safetensors");
    expect([dtype, weights.get("model.norm.weight")]).toMatchObject(["bfloat16", { dtype: "bfloat16", path: file }]);
    expect(base?.digest).toBe(digestOf((await loadModel(directory)).params));
    const [host, student] = [new TrainHost(), new ModelHost()];
    const described = await host.open({ directory, adapter: lora }, options);
    expect(described).toMatchObject({ dtype: "bfloat16", precision: { meanKl: 0, maxLogprobError: 0, tokens: 0 } });
    await student.open({ directory }, seeing);
    const [score] = await student.score([sequence], asked);
    const [found] = await host.divergences([{ ...sequence, score: score! }]);
    expectAllClose(found!.forwardKl, [0, 0, 0], { rtol: 0, atol: 1e-6 });
  });

  it.each(["float16", "float32", undefined] as const)(
    "sends its base to students with the numbers that it came with, held in %s",
    async (dtype) => {
      const [host, student] = [new TrainHost(), new ModelHost()];
      const described = await host.open({ directory, adapter: lora }, options, { dtype });
      if (dtype === "float16") expect(described.precision?.tokens).toBeGreaterThan(0);
      const version = join(root, "version");
      await mkdir(version);
      await host.writeVersion(version, true);
      const { digest: origin } = await student.open({ directory }, seeing);
      const sent = await tensorsOf(join(version, "model.safetensors"));
      expect(digestOf(await placedWeights(sent))).toBe(origin);
      expect(dtypeOf(sent)).toBe(dtype === "float32" ? "float32" : "bfloat16");
      const [score] = await student.score([sequence], asked);
      await host.step([{ ...sequence, score: score! }], 0.01);
      const checkpoint = join(root, "step-00000001");
      const { digest } = await host.save(checkpoint, true);
      await writeFile(join(checkpoint, "state.json"), JSON.stringify({ step: 1, digest, files: {} }));
      const again = await openStudent({ directory, adapter: lora }, { checkpoint, dtype });
      expect(digestOf(again.state!.params)).toBe(digest);
    },
  );

  it.each([{}, { lora: true }])("is refused in half precision where all of it is trained, and only there: %o", async (given) => {
    const opened = openStudent({ directory, ...("lora" in given ? { adapter: lora } : {}) }, { dtype: "bfloat16" });
    if ("lora" in given) expect((await opened).dtype).toBe("bfloat16");
    else
      await expect(opened).rejects.toMatchObject({
        code: "InvalidArgument",
        message: expect.stringMatching(/dtype is bfloat16.*in float32; leave it out, or train an adapter/),
      });
  });
});

describe("a student that is saved in shards", () => {
  const model = smallModel();
  const shardBytes = 20_000;
  // Ground truth alone, without a teacher.
  const supervised = { ...options, objective: { ...plainObjective, divergence: "cross_entropy" as const } };
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "retort-student-"));
    await saveModel(join(root, "student"), model);
  });
  afterEach(() => rm(root, { recursive: true }));

  it("goes on from its checkpoint with the weights and moments that it had", async () => {
    const host = new TrainHost();
    await host.open({ directory: join(root, "student") }, supervised);
    await host.step([{ promptIds: Int32Array.of(5, 6), completionIds: Int32Array.of(7, 8, 9) }], 0.01);
    const [whole, cut] = [join(root, "whole"), join(root, "cut")];
    for (const [path, bytes] of [
      [whole, undefined],
      [cut, shardBytes],
    ] as const) {
      const { digest, files } = await host.save(path, true, bytes);
      await writeFile(join(path, "state.json"), JSON.stringify({ step: 1, digest, files: {} }));
      for (const file of files)
        expect(file.digest).toBe(
          createHash("sha256")
            .update(await readFile(join(path, file.name)))
            .digest("hex"),
        );
    }
    const names = (await readdir(cut)).filter((name) => name.includes("-of-"));
    expect(names.some((name) => name.startsWith("model-"))).toBe(true);
    expect(names.some((name) => name.startsWith("optimizer-"))).toBe(true);
    const [a, b] = [
      await openStudent({ directory: join(root, "student") }, { checkpoint: whole }),
      await openStudent({ directory: join(root, "student") }, { checkpoint: cut }),
    ];
    expect(b.weights).toEqual(a.weights);
    expect(b.state).toEqual(a.state);
    expect([...a.state!.m.values()].some(({ data }) => data.some((x) => x !== 0))).toBe(true);
  });

  it("is taken over by a student from its shards", async () => {
    const [learner, student] = [new TrainHost(), new ModelHost()];
    const description = await learner.open({ directory: join(root, "student") }, supervised);
    const version = join(root, "version");
    await mkdir(version);
    const files = await learner.writeVersion(version, true, { shardBytes });
    expect(files.filter(({ name }) => name.includes("-of-")).length).toBeGreaterThan(2);
    const opened = await student.open({ directory: version }, { ...options, chunkTokens: 4, maxRows: 4, batchTokens: 64 });
    expect(opened.parameters).toBe(description.parameters);
    await learner.step([{ promptIds: Int32Array.of(5, 6), completionIds: Int32Array.of(7, 8, 9) }], 0.01);
    const next = join(root, "next");
    await mkdir(next);
    await learner.writeVersion(next, false, { shardBytes });
    await student.useWeights(next);
    await learner.save(join(root, "saved"), false);
    const whole = new ModelHost();
    const saved = await whole.open({ directory: join(root, "saved") }, { ...options, chunkTokens: 4, maxRows: 4, batchTokens: 64 });
    const scored = (host: ModelHost) =>
      host.score([{ promptIds: Int32Array.of(5, 6), completionIds: Int32Array.of(7, 8) }], { kind: "full", k: 1, temperature: 1 });
    expect(opened.digest).not.toBe(saved.digest);
    expect(await scored(student)).toEqual(await scored(whole));
  });
});
