import { counted, nounFor } from "../../../../services/shared/base/counted.js";
import { sourcesOf, textOf } from "../../../support/tools/sources.js";

describe("counted()", () => {
  it.each<[number | bigint, string, string | undefined, string]>([
    [0, "call", undefined, "0 calls"],
    [1, "call", undefined, "1 call"],
    [2n, "call", undefined, "2 calls"],
    [1n, "call is", "calls are", "1 call is"],
    [3, "entry", "entries", "3 entries"],
  ])("says %s with its noun", (count, one, many, said) => {
    expect(counted(count, one, many)).toBe(said);
  });

  it("says a noun alone, for a count that is shown otherwise", () => {
    expect([nounFor(1, "token"), nounFor(1200, "token")]).toEqual(["token", "tokens"]);
  });

  it("is the one rule of the plural in services/", () => {
    const own = sourcesOf("services", [".ts", ".tsx"]).filter((file) =>
      /=== 1 \? "(s?|[a-z]+)" : "(s|[a-z]+s)"/.test(textOf("services", file)),
    );
    expect(own.filter((file) => !file.startsWith("shared/gen/"))).toEqual([]);
  });
});
