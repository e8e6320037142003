import { faultIn, JsonFault, readJson } from "../../../../services/shared/base/json-text.js";

describe("readJson()", () => {
  it("reads what JSON.parse reads", () => {
    const text = ' {"a": [1, -2.5e+3, true, null, "\\u00e4\\"\\\\"], "b": {}, "c": []}\n';
    expect(readJson(text)).toEqual(JSON.parse(text));
  });

  it.each([
    ["root:x:0:0:hunter2", "an unexpected character at line 1, column 1"],
    ['{"a": 1,\n "b" hunter2}', "an unexpected character at line 2, column 6"],
    ['{"a": hunter2}', "an unexpected character at line 1, column 7"],
    ['{"a": "hunter2', "a text that does not end at line 1, column 15"],
    ['{"hunter2": 1', "it ends too early at line 1, column 14"],
    ['{"a": "hun\nter2"}', "a line break or another control character in a text at line 1, column 11"],
    ['["\\hunter2"]', "an escape that JSON does not have at line 1, column 3"],
    ['["\\u12x4"]', "an escape that JSON does not have at line 1, column 3"],
    ["{} hunter2", "there is something behind its end at line 1, column 4"],
    ['{"a": 01}', "an unexpected character at line 1, column 7"],
    ["[1, ]", "an unexpected character at line 1, column 5"],
    ["{1: 2}", "an unexpected character at line 1, column 2"],
    ["[1.]", "an unexpected character at line 1, column 2"],
    ["\n ", "there is nothing at line 2, column 2"],
    ["]", "an unexpected character at line 1, column 1"],
  ])("says where %j is at fault, and quotes nothing of it", (text, message) => {
    expect(() => readJson(text)).toThrow(new JsonFault(message));
  });

  it("finds a fault wherever JSON.parse does", () => {
    const whole = '{"a": [1, -2.5e3, true, {"b": "x\\n"}], "c": null}';
    let refused = 0;
    for (let cut = 0; cut < whole.length; cut++)
      for (const text of [whole.slice(0, cut), `${whole.slice(0, cut)}~${whole.slice(cut)}`, whole.slice(0, cut) + whole.slice(cut + 1)])
        try {
          JSON.parse(text);
        } catch {
          refused++;
          expect(faultIn(text).message).toMatch(/at line 1, column \d+$/);
          expect(faultIn(text).message).not.toContain("column NaN");
        }
    expect(refused).toBeGreaterThan(100);
  });

  it.each([
    ["lists within each other", "[".repeat(30_000_000), /more than 1000 lists and objects within each other/],
    ["objects within each other", '{"a":'.repeat(2000), /more than 1000 lists/],
    ["millions of values", `[${"0,".repeat(5_000_000)}0]`, /more than 4000000 values/],
  ])("refuses %s before it makes them", (_, text, message) => {
    expect(() => readJson(text)).toThrow(message);
  });

  it("counts no bracket within a text", () => {
    const text = JSON.stringify({ a: '[{"\\'.repeat(5000) });
    expect(readJson(text)).toEqual(JSON.parse(text));
  });
});
