import { parseJson, SpelledNumber } from "../../../../services/shared/base/json.js";

const spelled = (text: string): SpelledNumber => new SpelledNumber(text);

describe("parseJson()", () => {
  it.each<[string, unknown]>([
    ["0.10", spelled("0.10")],
    ["1.0", spelled("1.0")],
    ["-0", spelled("-0")],
    ["1e400", spelled("1e400")],
    ["12345678901234567890", spelled("12345678901234567890")],
    ["9007199254740992", 9007199254740992],
    ["[0.5, -3, 1E5]", [0.5, -3, spelled("1E5")]],
    [
      '{"a": "1.0, 2.0", "b": [{"c": 1.50}], "d": "\\\\", "e": "\\": 1.0"}',
      { a: "1.0, 2.0", b: [{ c: spelled("1.50") }], d: "\\", e: '": 1.0' },
    ],
    ['{"#": 1.0, "##": "x"}', { "#": spelled("1.0"), "##": "x" }],
    ['{"a": 1, "b": 2, "a": 3.0}', { a: spelled("3.0"), b: 2 }],
  ])("reads %s", (text, expected) => {
    expect(parseJson(text)).toEqual(expected);
  });

  it("keeps a key that JavaScript's objects have already", () => {
    expect(Object.entries(parseJson('{"__proto__": 1.0}') as object)).toEqual([["__proto__", spelled("1.0")]]);
  });

  it.each(["01.0", "1.", ".5", "[1.0,]", "1.0 2.0", '{"a": 1.0', "NaN", ""])("refuses %s", (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  it("says where the order of keys is lost", () => {
    const lost = () => "lost";
    expect(parseJson('{"x": {"b": 1, "2": 1}, "y": {"1": "1", "2": {"3": 1}}}', lost)).toEqual({ x: "lost", y: { 1: "1", 2: { 3: 1 } } });
    expect(parseJson('{"2": 1, "1": 1}', lost)).toBe("lost");
    expect(parseJson('{"b": 1, "02": 1, "-1": "2"}', lost)).toEqual({ b: 1, "02": 1, "-1": "2" });
  });
});
