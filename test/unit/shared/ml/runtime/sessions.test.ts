import type { Session } from "../../../../../services/shared/ml/runtime/session.js";
import { Sessions } from "../../../../../services/shared/ml/runtime/sessions.js";
import { Sampler } from "../../../../../services/shared/ml/sampling/sampler.js";
import { Scorer } from "../../../../../services/shared/ml/scoring/scorer.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

/** Notes what is compiled (name and room) and released. */
function recorder(sessions: Sessions) {
  const log: string[] = [];
  const get = (name: string, positions = 0) =>
    sessions.get(name, positions, async (room) => {
      log.push(`+${name}/${room}`);
      return { release: async () => void log.push(`-${name}`) } as unknown as Session;
    });
  return { log, get };
}

describe("Sessions", () => {
  it("keeps what was used last, and no more than it may", async () => {
    const sessions = new Sessions(100, 2);
    const { log, get } = recorder(sessions);
    for (const name of ["a", "b", "a", "a", "c", "a", "b"]) await get(name);
    expect(log).toEqual(["+a/100", "+b/100", "-b", "+c/100", "-c", "+b/100"]);
    await sessions.release();
    expect(log.slice(-2)).toEqual(["-a", "-b"]);
  });

  it("compiles anew what it keeps when that is asked for, the old gone first, with room for as much as before", async () => {
    const sessions = new Sessions(10_000, 2);
    const { log, get } = recorder(sessions);
    await sessions.renew(new Map());
    for (const name of ["a", "b"]) await get(name, 5000);
    await sessions.renew(new Map());
    expect(log).toEqual(["+a/8192", "+b/8192", "-a", "-b", "+a/8192", "+b/8192"]);
    await get("a", 5000);
    expect(log.length).toBe(6);
  });

  it("makes room for as many positions as were asked for, and keeps it", async () => {
    const { log, get } = recorder(new Sessions(1_010_000, 4));
    for (const positions of [1, 4096, 4097, 100, 70_000, 70_001, 1_010_000, 3, 2_000_000]) await get("a", positions);
    expect(log).toEqual(["+a/4096", "-a", "+a/8192", "-a", "+a/131072", "-a", "+a/1010000"]);
    await get("b", 5);
    expect(log.at(-1)).toBe("+b/1010000");
  });
});

const options = { device: "cpu", threads: 1 } as const;
const ids = (length: number, start: number) => Int32Array.from({ length }, (_, j) => (start + j * 11) % 150);

describe("a model of a million positions", () => {
  const long = smallModel({ ...smallConfigs.qwen3, num_hidden_layers: 1, max_position_embeddings: 1_010_000 });
  const short = { ...long.config, maxPositions: 64 };

  it("scores and samples as one of 64 does, bit for bit", async () => {
    const input = [{ promptIds: ids(5, 4), completionIds: ids(7, 50) }];
    const signal = { kind: "full", k: 0, temperature: 1 } as const;
    const sampling = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 12, stopIds: [] };
    const answers = await Promise.all(
      [long.config, short].map(async (config) => {
        const scorer = new Scorer(config, long.params, { ...options, batchTokens: 64 });
        const sampler = new Sampler(config, long.params, { ...options, chunkTokens: 5, maxRows: 4 });
        const [score] = await scorer.score(input, signal);
        const [written] = await sampler.sample([{ promptIds: ids(5, 4), seed: 3n }], sampling);
        await scorer.release();
        await sampler.release();
        return { full: score!.full, ids: written!.ids, logprobs: written!.logprobs };
      }),
    );
    expect(answers[0]).toEqual(answers[1]);
  });

  it("goes on right where a batch outgrows the tables that were there", async () => {
    const scorer = new Scorer(long.config, long.params, { ...options, batchTokens: 8192 });
    const signal = { kind: "sampled", k: 0, temperature: 1 } as const;
    const [early] = await scorer.score([{ promptIds: ids(4000, 1), completionIds: ids(50, 2) }], signal);
    const [late] = await scorer.score([{ promptIds: ids(4000, 1), completionIds: ids(200, 2) }], signal);
    await scorer.release();
    const far = Array.from(late!.logprobs!.subarray(0, 50), (x, i) => Math.abs(x - early!.logprobs![i]!));
    expect(Math.max(...far)).toBeLessThan(1e-4);
    // Past the first table's end the positions still differ from each other.
    expect(new Set(late!.logprobs!.subarray(100)).size).toBeGreaterThan(90);
  });
});

describe("top_k with any k", () => {
  it("takes one graph, and gives the leading entries of a larger k", async () => {
    const { config, params } = smallModel();
    const scorer = new Scorer(config, params, { ...options, batchTokens: 64 });
    const of = (k: number) => scorer.score([{ promptIds: ids(3, 1), completionIds: ids(4, 9) }], { kind: "top_k", k, temperature: 1 });
    const [[all], [few]] = [await of(150), await of(3)];
    for (let n = 0; n < 4; n++) expect(few!.topLogprobs!.slice(3 * n, 3 * n + 3)).toEqual(all!.topLogprobs!.slice(150 * n, 150 * n + 3));
    await scorer.release();
  });
});

describe("weights that overflow", () => {
  it("are an error of sampling and scoring, never a token", async () => {
    const { config, params } = smallModel();
    const broken = new Map(params).set("model.norm.weight", {
      ...params.get("model.norm.weight")!,
      data: params.get("model.norm.weight")!.data.map(() => 3e38),
    });
    const sampler = new Sampler(config, broken, { ...options, chunkTokens: 5, maxRows: 4 });
    const scorer = new Scorer(config, broken, { ...options, batchTokens: 64 });
    const failure = { code: "DataLoss", message: expect.stringMatching(/logits are not finite/) };
    for (const temperature of [0, 0.7, 1])
      await expect(
        sampler.sample([{ promptIds: ids(3, 1), seed: 1n }], { temperature, topK: 0, topP: 1, maxNewTokens: 3, stopIds: [] }),
      ).rejects.toMatchObject(failure);
    for (const kind of ["full", "sampled", "top_k"] as const)
      await expect(
        scorer.score([{ promptIds: ids(3, 1), completionIds: ids(4, 9) }], { kind, k: 5, temperature: 1 }),
      ).rejects.toMatchObject(failure);
    await sampler.release();
    await scorer.release();
  });
});
