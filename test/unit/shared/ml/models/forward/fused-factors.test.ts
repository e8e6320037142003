// Dimensions: D width, G key/value heads, X heads per group, E head size.
import { normals } from "../../../../../../services/shared/base/random.js";
import { float32, type Tensor } from "../../../../../../services/shared/ml/graph/tensor.js";
import { fuseFactors } from "../../../../../../services/shared/ml/models/forward/fused-factors.js";
import { fuseProjections } from "../../../../../../services/shared/ml/models/forward/fused-projections.js";
import { type Projection, selfAttention } from "../../../../../../services/shared/ml/models/forward/self-attention.js";
import { factorNames, loraScale } from "../../../../../../services/shared/ml/models/lora.js";
import type { Weights } from "../../../../../../services/shared/ml/models/param-spec.js";
import { expectAllClose } from "../../../../../support/jest/all-close.js";
import { smallConfigs, smallModel } from "../../../../../support/models/small-model.js";

const random = (seed: bigint, ...dims: number[]) => float32(normals(seed, dims[0]! * dims[1]!, 1), dims);

/** a [M, K] b [K, N] times a factor, plus c [M, N]. */
function sum(a: Tensor<"float32">, b: Tensor<"float32">, factor: number, c: Tensor<"float32">): Tensor<"float32"> {
  const [inner, width] = b.dims as [number, number];
  const data = c.data.map((x, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    let total = 0;
    for (let k = 0; k < inner; k++) total += a.data[row * inner + k]! * b.data[k * width + column]!;
    return x + factor * total;
  });
  return float32(data, c.dims);
}

function transposed({ data, dims }: Tensor<"float32">): Tensor<"float32"> {
  const [rows, columns] = dims as [number, number];
  return float32(
    Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!),
    [columns, rows],
  );
}

const [d, e] = [32, 8];

describe("the factors of a fused projection", () => {
  it.each<[string, Projection, Record<string, number>, string[], "outIn" | "inOut"]>([
    ["apart", { kind: "apart", q: "q", k: "k", v: "v" }, { q: 4 * e, k: 2 * e, v: 2 * e }, ["q", "k", "v"], "outIn"],
    ["apart, of which two are adapted", { kind: "apart", q: "q", k: "k", v: "v" }, { q: 4 * e, k: 2 * e, v: 2 * e }, ["k", "v"], "outIn"],
    ["stacked", { kind: "stacked", name: "qkv", layout: "outIn" }, { qkv: 8 * e }, ["qkv"], "outIn"],
    ["stacked and transposed", { kind: "stacked", name: "qkv", layout: "inOut" }, { qkv: 8 * e }, ["qkv"], "inOut"],
    ["head by head", { kind: "byHead", name: "qkv" }, { qkv: 12 * e }, ["qkv"], "outIn"],
  ])("add what the adapted weights have more: %s", (_, projection, rows, adapted, layout) => {
    const { config: base } = smallModel(smallConfigs.llama);
    const config = { ...base, kvHeads: projection.kind === "byHead" ? 4 : 2 };
    const attention = { ...selfAttention(config, 0, "layer"), projection };
    const lora = { r: 3, alpha: 2, useRslora: false, layers: adapted };
    const weights = new Map(Object.entries(rows).map(([name, out], i) => [name, random(BigInt(i), out, d)]));
    const factors: Weights = new Map(
      adapted.flatMap((name, i) => [
        [factorNames(name).a, random(BigInt(10 + i), 3, d)] as const,
        [factorNames(name).b, random(BigInt(20 + i), rows[name]!, 3)] as const,
      ]),
    );
    const stored = (all: ReadonlyMap<string, Tensor<"float32">>) =>
      new Map([...all].map(([name, weight]) => [`${name}.weight`, layout === "inOut" ? transposed(weight) : weight]));
    const fused = (all: ReadonlyMap<string, Tensor<"float32">>) =>
      fuseProjections(config, stored(all), [attention]).get("step.qkv.weight.0")!;
    const merged = new Map(
      [...weights].map(([name, weight]) => {
        const { a, b } = factorNames(name);
        return [name, adapted.includes(name) ? sum(factors.get(b)!, factors.get(a)!, loraScale(lora), weight) : weight];
      }),
    );
    const own = fuseFactors(config, lora, factors, [attention]);
    const found = sum(own.get("step.qkv.lora_B.0")!, own.get("step.qkv.lora_A.0")!, loraScale(lora), fused(weights));
    expectAllClose(found.data, fused(merged).data, { rtol: 1e-5, atol: 1e-5 });
  });

  it("are none where no projection of a layer is adapted", () => {
    const { config } = smallModel(smallConfigs.llama);
    const lora = { r: 3, alpha: 2, useRslora: false, layers: ["layer.o_proj"] };
    expect(fuseFactors(config, lora, new Map(), [selfAttention(config, 0, "layer")]).size).toBe(0);
  });
});
