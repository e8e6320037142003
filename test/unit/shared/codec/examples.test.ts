import { itemsOf, limitsOf, misfit, outcomesOf, refusalOf } from "../../../../services/shared/codec/examples.js";
import type { Row } from "../../../../services/shared/flow/prompts/row.js";
import { Encoder } from "../../../../services/shared/ml/text/encoder.js";
import { chatml, chatSettings, fixtureTokenizer } from "../../../support/models/encoder-fixtures.js";

const tokenizer = fixtureTokenizer("bytes", chatml);
const encoder = new Encoder(tokenizer, [tokenizer.tokenToId("<|im_end|>")!], chatSettings());
const rowOf = (number: number, fields: Partial<Row>): Row => ({
  ...{ prompt: "p", completion: undefined, reference: undefined, teacher: undefined, columns: {}, where: `d.jsonl line ${number}`, number },
  ...fields,
});
const bad = { prompt: "x", completion: [{ role: "assistant", content: "y" }] };

describe("itemsOf()", () => {
  it("carries what the dataset says about a row", () => {
    const [item] = itemsOf([rowOf(1, { prompt: "347=", completion: "three", reference: "three", teacher: "math" })], encoder);
    expect(item).toMatchObject({ promptText: "347=", reference: "three", teacher: "math" });
    expect(tokenizer.decode(item!.completionIds!)).toBe("three");
  });

  it("takes what only a template reads beside a plain prompt where plain prompts go into the template", () => {
    const row = rowOf(1, { prompt: "weather?", tools: [{}] });
    expect(outcomesOf([row], encoder)[0]!.refusal).toMatch(/its prompt is plain text; set chat: true/);
    const chatting = new Encoder(fixtureTokenizer("bytes", `{{ tools | length }}${chatml}`), [], chatSettings({ chat: true }));
    expect(outcomesOf([row], chatting)[0]!.item!.promptText).toMatch(/^1<\|im_start\|>user\nweather\?/);
  });

  it("refuses rows by file and line, and says how many there are", () => {
    const rows = Array.from({ length: 14 }, (_, i) => rowOf(i + 1, i === 0 ? {} : bad));
    const message = refusalOf(outcomesOf(rows, encoder));
    expect(message).toMatch(/^d\.jsonl line 2 is refused: the prompt is text.*; so are d\.jsonl line 3,.* and 3 more\./);
    expect(() => itemsOf(rows, encoder)).toThrow(/d\.jsonl line 2 is refused/);
    expect(refusalOf(outcomesOf([rowOf(1, {})], encoder))).toBeUndefined();
  });
});

describe("misfit()", () => {
  const item = (prompt: number, completion?: number) => ({
    promptIds: new Int32Array(prompt),
    promptText: "",
    completionIds: completion === undefined ? undefined : new Int32Array(completion),
    reference: "",
    teacher: "",
  });

  it.each([
    [item(0), "empty prompt"],
    [item(7), "prompt too long"],
    [item(6, 5), "completion too long"],
    [item(6, 4), undefined],
    [item(6), undefined],
  ] as const)("says why %j does not fit: %s", (one, reason) => {
    expect(misfit(one, limitsOf(0, 10, 4))).toBe(reason);
  });

  it("keeps to the spec's longest prompt", () => {
    expect(misfit(item(4), limitsOf(3, 10, 4))).toBe("prompt too long");
  });
});
