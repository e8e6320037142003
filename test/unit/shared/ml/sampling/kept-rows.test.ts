import { jest } from "@jest/globals";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";
import type { SampleRequest } from "../../../../../services/shared/ml/sampling/chunk.js";
import type { SamplingParams } from "../../../../../services/shared/ml/sampling/params.js";
import { type Completion, Sampler, type SamplerOptions } from "../../../../../services/shared/ml/sampling/sampler.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { smallConfigs, smallModel } from "../../../../support/models/small-model.js";

const options = { device: "cpu", threads: 1, chunkTokens: 6, maxRows: 4 } as const;
const stops = Array.from({ length: 20 }, (_, i) => 3 + 7 * i);
const params: SamplingParams = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 8, stopIds: stops };
const prompts = [9, 4, 8, 7, 9, 6].map((length, i) => Int32Array.from({ length }, (_, j) => 3 + ((i * 37 + j * 11) % 140)));

/** Three turns of several conversations, more than have a place at a time; between them come answers. */
async function converse(sampler: Sampler, isKept: boolean, between: (turn: number) => Promise<void> = async () => {}) {
  const texts = prompts.map((ids) => [...ids]);
  const turns: Completion[][] = [];
  for (let turn = 0; turn < 3; turn++) {
    const requests = texts.map((ids, i): SampleRequest => {
      const conversation = isKept ? { conversation: `c${i}` } : {};
      return { promptIds: Int32Array.from(ids), seed: BigInt(100 * turn + i), ...conversation };
    });
    const written = await sampler.sample(requests, params);
    turns.push(written);
    for (const [i, { ids }] of written.entries()) texts[i]!.push(...ids, ...Array.from({ length: 2 + i }, (_, j) => 5 + 9 * j + turn));
    await between(turn);
  }
  return turns;
}

/** Conversations with a new sampler, and how many tokens its runs read of what was given. */
async function written(config: (typeof smallConfigs)["llama"], isKept: boolean, more: Partial<SamplerOptions> = {}) {
  const model = smallModel(config);
  const sampler = new Sampler(model.config, model.params, { ...options, ...more });
  const runs = jest.spyOn(Session.prototype, "run");
  try {
    const turns = await converse(sampler, isKept);
    const read = runs.mock.calls.reduce((sum, [feeds]) => sum + (feeds.tokens?.dims[0] ?? 0), 0);
    return { turns, read };
  } finally {
    runs.mockRestore();
    await sampler.release();
  }
}

function expectSame(turns: readonly Completion[][], expected: readonly Completion[][]): void {
  expect(turns.map((turn) => turn.map(({ ids }) => [...ids]))).toEqual(expected.map((turn) => turn.map(({ ids }) => [...ids])));
  for (const [t, turn] of turns.entries())
    for (const [i, { logprobs }] of turn.entries()) expectAllClose(logprobs, expected[t]![i]!.logprobs, { rtol: 1e-4, atol: 1e-5 });
}

describe("a conversation that is kept between its turns", () => {
  it.each(Object.entries(smallConfigs))("is written as one that is read anew each turn, and reads less: %s", async (_, config) => {
    const [kept, anew] = [await written(config as never, true), await written(config as never, false)];
    expectSame(kept.turns, anew.turns);
    expect(kept.turns.flat().some(({ finish }) => finish === "stop")).toBe(true);
    expect(kept.read).toBeLessThan(anew.read);
  });

  it("is read anew where there is no room for all, those that have waited longest first", async () => {
    const [none, some] = [
      await written(smallConfigs.llama, true, { keptBytes: 0 }),
      await written(smallConfigs.llama, true, { keptBytes: 20_000 }),
    ];
    const [all, anew] = [await written(smallConfigs.llama, true), await written(smallConfigs.llama, false)];
    expect([none.read, all.read < some.read, some.read < none.read]).toEqual([anew.read, true, true]);
    for (const { turns } of [none, some]) expectSame(turns, anew.turns);
  });

  it("is read anew under other weights, and where its beginning is another", async () => {
    const [model, other] = [smallModel(smallConfigs.llama), smallModel(smallConfigs.llama, 9n)];
    const results = [];
    for (const isKept of [true, false]) {
      const sampler = new Sampler(model.config, model.params, options);
      const turns = await converse(sampler, isKept, async (turn) => {
        if (turn === 0) await sampler.setWeights(other.params);
      });
      const elsewhere = { promptIds: Int32Array.of(8, 9, 10, 11), seed: 1n, ...(isKept && { conversation: "c0" }) };
      results.push([...turns, await sampler.sample([elsewhere], params)]);
      await sampler.release();
    }
    expectSame(results[0]!, results[1]!);
  });
});
