import { fitting } from "../../../../services/learner/data/dataset.js";
import type { Item } from "../../../../services/shared/codec/examples.js";

const item = (promptTokens: number, completionTokens?: number): Item => ({
  promptIds: new Int32Array(promptTokens),
  promptText: "",
  completionIds: completionTokens === undefined ? undefined : new Int32Array(completionTokens),
  reference: "",
  teacher: "",
});
const limits = { maxPositions: 10, maxNewTokens: 4, maxReplyTokens: 0, eosId: undefined };

describe("fitting()", () => {
  it("drops what does not fit, counts it by reason, and cuts nothing", () => {
    const kept = [item(6, 4), item(1, 9), item(6)];
    const { items, dropped } = fitting([item(0), ...kept, item(7), item(7, 1), item(2, 9)], 0, limits, "rows");
    expect(items).toEqual(kept);
    expect(dropped).toEqual({ "empty prompt": 1, "prompt too long": 2, "completion too long": 1 });
  });

  it("keeps to a shorter limit, and never to one that leaves no room", () => {
    expect(fitting([item(3), item(4)], 3, limits, "rows").dropped).toEqual({ "prompt too long": 1 });
    expect(fitting([item(6), item(7)], 100, limits, "rows").dropped).toEqual({ "prompt too long": 1 });
  });

  it("refuses rows none of which fits, with the counts and the way out", () => {
    expect(() => fitting([item(7), item(8)], 0, limits, "rows.jsonl")).toThrow(
      /no row of rows\.jsonl is usable \({"prompt too long":2}\); .*at most 6 tokens.*maxNewTokens \(4\)/,
    );
  });
});
