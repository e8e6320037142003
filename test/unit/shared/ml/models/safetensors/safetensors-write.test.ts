import { float32, type Tensor } from "../../../../../../services/shared/ml/graph/tensor.js";
import { decodeSafetensors, encodeSafetensors } from "../../../../../../services/shared/ml/models/safetensors/safetensors.js";

const tensors = new Map([
  ["b", float32(Float32Array.of(1, -2, 3.5), [3])],
  ["ä", float32(Float32Array.of(4, 5), [1, 2])],
  ["a", float32(new Float32Array(), [0, 7])],
]);

describe("encodeSafetensors()", () => {
  it("gives parts that add up to its length, the tensors' own memory among them", () => {
    const encoded = encodeSafetensors(tensors, { updates: "3" });
    const parts = [...encoded];
    expect(parts.reduce((sum, { length }) => sum + length, 0)).toBe(encoded.byteLength);
    expect(parts[0]!.length % 8).toBe(0);
    expect(parts[2]!.buffer).toBe(tensors.get("b")!.data.buffer);
  });

  it("is read back", () => {
    const whole = new Uint8Array(Buffer.concat([...encodeSafetensors(tensors)]));
    expect(new Map([...decodeSafetensors(whole)].sort())).toEqual(new Map([...tensors].sort()));
  });

  it("says how long a file beyond what one array can hold is, without making it", () => {
    const huge = { dtype: "float32", dims: [3e9], data: { byteLength: 12e9, length: 3e9 } } as unknown as Tensor<"float32">;
    expect(encodeSafetensors(new Map([["a", huge]])).byteLength).toBeGreaterThan(12e9);
  });

  it("names a tensor that is cut off", () => {
    const whole = Buffer.concat([...encodeSafetensors(tensors)]);
    expect(() => decodeSafetensors(whole.subarray(0, -5), "m.safetensors")).toThrow(/m\.safetensors: tensor ä ends after the file/);
  });
});
