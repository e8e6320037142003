import { resolve } from "node:path";
import { defaultColumns, readDataset } from "../../../../../../services/shared/flow/prompts/dataset.js";

const path = resolve("test/golden/fixtures/data/exact.parquet");
const columns = { ...defaultColumns, completion: "none", reference: "none", teacher: "none" };
const textOf = async (column: string) => (await readDataset(path, { ...columns, reference: column }))[0]!.reference;

describe("readDataset() of Parquet", () => {
  it("has the keys of a struct in every message, null where there is nothing, as Python has", async () => {
    const [row] = await readDataset(path, columns);
    expect(row!.prompt).toEqual([{ role: "user", content: "a", tool_calls: null }]);
    expect(row!.completion).toMatchObject([
      { role: "assistant", content: null, tool_calls: [{ id: 7, arguments: { x: { text: "1.0" } } }] },
    ]);
    expect(row!.tools).toMatchObject([{ n: { text: "1.0" } }]);
    expect(row).toMatchObject({ number: 1, where: `${path} row 1` });
  });

  it.each([
    ["big", "9007199254740993"],
    ["whole", "2.0"],
    ["small", "1e-05"],
    ["large", "1e+16"],
  ])("spells the number of column %s as Python does", async (column, expected) => {
    expect(await textOf(column)).toBe(expected);
  });

  it.each<[string, RegExp]>([
    ["price", /row 1: column "price" is a decimal; .*write it as text/],
    ["day", /"day" is a date or time/],
    ["latin", /"latin" is bytes that are not UTF-8/],
    ["missing", /"missing" is the number NaN/],
  ])("refuses column %s where it is read", async (column, message) => {
    await expect(textOf(column)).rejects.toThrow(message);
  });
});
