import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ModelHost, type Outcome } from "../../../../../services/shared/ml/host/model-host.js";
import { saveModel } from "../../../../../services/shared/ml/models/files/model-files.js";
import { smallModel } from "../../../../support/models/small-model.js";

const sampling = { temperature: 1, topK: 0, topP: 1, maxNewTokens: 9 };

describe("ModelHost.sampleGroups()", () => {
  let directory: string;
  const host = new ModelHost();
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-host-"));
    await saveModel(directory, smallModel());
    await host.open({ directory }, { device: "cpu", threads: 1, chunkTokens: 4, maxRows: 3, batchTokens: 512 });
  });
  afterAll(() => rm(directory, { recursive: true }));

  const request = (i: number, length = 2 + (i % 3)) => ({
    promptIds: Int32Array.from({ length }, (_, j) => 3 + ((i * 37 + j * 11) % 50)),
    seed: BigInt(i),
  });
  const groups = [[request(0), request(1)], [request(2)], [request(3), request(4), request(5)]];
  /** What each group got, and in which order they were heard of. */
  const sampled = async (asked = groups) => {
    const outcomes: (readonly Outcome[])[] = [];
    const order: number[] = [];
    await host.sampleGroups(asked, sampling, (group, written) => {
      outcomes[group] = written;
      order.push(group);
    });
    return { outcomes, order: order.sort() };
  };

  it("tells of each group once, with what its requests get alone", async () => {
    const { outcomes, order } = await sampled();
    expect(order).toEqual([0, 1, 2]);
    for (const [g, group] of groups.entries())
      for (const [i, one] of group.entries()) {
        const [alone] = await host.sample([one], sampling);
        expect(outcomes[g]![i]).toMatchObject({ ids: alone!.ids, text: alone!.text, finish: alone!.finish });
      }
  });

  it("gives the same bits each time", async () => {
    expect((await sampled()).outcomes).toEqual((await sampled()).outcomes);
  });

  it("says of a request why it can't be completed, and completes the group's others", async () => {
    const { outcomes } = await sampled([[request(0), request(1, 5000), request(2)], [request(3, 0)]]);
    expect(outcomes[0]!.map((outcome) => "refusal" in outcome)).toEqual([false, true, false]);
    expect(outcomes[0]![1]).toEqual({ refusal: expect.stringMatching(/5000 tokens and maxNewTokens 9 exceed/) });
    expect(outcomes[1]).toEqual([{ refusal: expect.stringMatching(/no tokens/) }]);
  });

  it("refuses settings out of bounds for every request", async () => {
    const outcomes: (readonly Outcome[])[] = [];
    await host.sampleGroups(groups, { ...sampling, temperature: -1 }, (group, written) => (outcomes[group] = written));
    expect(outcomes.flat()).toEqual(Array(6).fill({ refusal: expect.stringMatching(/temperature/) }));
  });
});
