import { NeedMore } from "../../../../../../services/shared/ml/models/gguf/header/byte-reader.js";
import { parseHeader } from "../../../../../../services/shared/ml/models/gguf/header/read-gguf.js";
import { changedGguf, ggufBytes, smallGguf } from "../../../../../support/models/gguf-bytes.js";

const parse = (bytes: Buffer, size = bytes.length) => parseHeader(bytes, size, "x.gguf");
const whole = ggufBytes(smallGguf);

/** A copy with other bytes at a place. */
function patched(at: number, ...bytes: number[]): Buffer {
  const copy = Buffer.from(whole);
  copy.set(bytes, at);
  return copy;
}

describe("parseHeader()", () => {
  it("reads metadata and where the tensors lie, last dimension innermost", () => {
    const { metadata, tensors, size } = parse(whole);
    expect(metadata.get("llama.block_count")).toBe(1);
    expect(metadata.get("llama.attention.layer_norm_rms_epsilon")).toBe(1e-5);
    expect(metadata.get("tokenizer.ggml.token_type")).toEqual([3, 3, 1, 1, 1, 4]);
    const [embedding, norm] = tensors;
    expect(embedding).toMatchObject({ name: "token_embd.weight", shape: [6, 8], bytes: 192 });
    expect(norm).toMatchObject({ name: "output_norm.weight", shape: [8], start: embedding!.start + 192 });
    expect([size, embedding!.start % 32]).toEqual([whole.length, 0]);
  });

  it("keeps 64-bit numbers that JavaScript's cannot hold", () => {
    const { metadata } = parse(changedGguf({ small: { u64: 7n }, large: { u64: 2n ** 63n } }));
    expect([metadata.get("small"), metadata.get("large")]).toEqual([7, 2n ** 63n]);
  });

  it("asks for more of the file where the bytes in memory end", () => {
    expect(() => parse(whole.subarray(0, 100), whole.length)).toThrow(NeedMore);
  });

  it.each([
    ["nothing", Buffer.alloc(0), /no GGUF file/],
    ["another format", Buffer.from("not a model at all"), /no GGUF file/],
    ["a git-lfs pointer", Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:0"), /git lfs pull/],
    ["version 1", ggufBytes({ ...smallGguf, version: 1 }), /GGUF version 1; supported: .*2, 3/],
    ["a big-endian file", patched(4, 0, 0, 0, 3), /big-endian/],
    ["more tensors than bytes", patched(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), /says that it has \d+ tensors/],
    ["more metadata than bytes", patched(16, 0, 0, 0, 0x40), /metadata entries/],
    ["a key longer than the file", patched(24, 0, 0, 0, 0, 1), /bytes of a key/],
    ["a key that is no UTF-8", patched(32, 0xff), /no UTF-8/],
    ["an unknown type", patched(32 + "general.architecture".length, 77), /the type 77/],
    ["an alignment of nothing", changedGguf({ "general.alignment": { u32: 0 } }), /general.alignment 0/],
    ["an end amid the header", whole.subarray(0, 300), /is cut off/],
    ["an end amid the weights", whole.subarray(0, whole.length - 64), /ends before its tensor blk\.0\.ffn_down\.weight does/],
    ["a row that is no whole block", changedGguf({}, { "output_norm.weight": { shape: [8], type: 2 } }), /Q4_0 cannot hold/],
    ["a shape beyond counting", changedGguf({}, { z: { shape: [2 ** 40, 2 ** 40], bytes: new Uint8Array() } }), /the shape/],
    ["a dimension of 0", changedGguf({}, { z: { shape: [0, 8] } }), /the shape/],
    ["no dimension", changedGguf({}, { z: { shape: [], bytes: new Uint8Array() } }), /0 dimensions/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => parse(bytes)).toThrow(message);
  });

  it("refuses a key or a tensor that is there twice, and tensors that share bytes", () => {
    const latin = whole.toString("latin1");
    const same = (a: string, b: string) => Buffer.from(latin.replace(a, b), "latin1");
    expect(() => parse(same("tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"))).toThrow(
      /the key tokenizer\.ggml\.eos_token_id twice/,
    );
    expect(() => parse(same("blk.0.attn_k.weight", "blk.0.attn_v.weight"))).toThrow(/names tensor blk\.0\.attn_v\.weight twice/);
    const overlapping = Buffer.from(whole);
    const at = latin.indexOf("output_norm.weight") + "output_norm.weight".length + 4 + 8 + 4;
    overlapping.writeBigUInt64LE(32n, at);
    expect(() => parse(overlapping)).toThrow(/token_embd\.weight and output_norm\.weight share bytes/);
  });

  it("names types that are not read, without judging them", () => {
    const { tensors } = parse(changedGguf({}, { z: { shape: [256], type: 10 }, y: { shape: [1], type: 99 } }));
    expect(tensors.slice(-2).map(({ type }) => [type.name, type.block])).toEqual([
      ["Q2_K", undefined],
      ["type 99", undefined],
    ]);
  });
});
