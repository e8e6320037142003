import { scalarsEvent, textEvent, versionEvent } from "../../../../services/learner/tracking/tf-event.js";
import { crc32c, tfRecord } from "../../../../services/learner/tracking/tf-record.js";

describe("crc32c()", () => {
  // RFC 3720, appendix B.4; the check value of the CRC catalogue.
  it.each([
    ["123456789", Buffer.from("123456789"), 0xe3069283],
    ["32 zeros", Buffer.alloc(32), 0x8a9136aa],
    ["32 ones", Buffer.alloc(32, 0xff), 0x62a8ab43],
    ["32 bytes that rise", Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    ["nothing", Buffer.alloc(0), 0],
  ])("of %s is the published one", (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });
});

// Written by the package tensorboard of PyPI, version 2.21: RecordWriter over Event messages.
describe("TensorBoard's bytes", () => {
  it.each<[string, Uint8Array, string]>([
    ["the version", versionEvent(1.5), "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"],
    [
      "two numbers",
      scalarsEvent(2.5, 7, [
        ["train/loss", 0.5],
        ["train/gradientNorm", 1024],
      ]),
      "3b000000000000001a23ac5c09000000000000044010072a2e0a110a0a747261696e2f6c6f7373150000003f0a190a12747261696e2f6772616469656e744e6f726d15000080443bf9d52b",
    ],
    [
      "a text",
      textEvent(3.5, 9, "samples/0", "hello"),
      "3700000000000000e7e8ca59090000000000000c4010092a2a0a280a0973616d706c65732f30420f0807120412020801420568656c6c6f4a0a0a060a047465787420029da8bb1a",
    ],
  ])("of %s are TensorBoard's own", (_, event, expected) => {
    expect(Buffer.from(tfRecord(event)).toString("hex")).toBe(expected);
  });
});
