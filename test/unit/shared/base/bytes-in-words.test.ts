import { bytesInWords } from "../../../../services/shared/base/bytes-in-words.js";

describe("bytesInWords()", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [12_345_678, "12.3 MB"],
    [123_456_789, "123 MB"],
    [999_999_999, "1.0 GB"],
    [4.2e12, "4.2 TB"],
  ])("of %d is %s", (bytes, words) => {
    expect(bytesInWords(bytes)).toBe(words);
  });
});
