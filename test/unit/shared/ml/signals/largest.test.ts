import { normals } from "../../../../../services/shared/base/random.js";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { float32 } from "../../../../../services/shared/ml/graph/tensor.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";
import { largestIds } from "../../../../../services/shared/ml/signals/largest.js";

async function largestOf(scores: Float32Array, vocab: number, k: number): Promise<{ ids: number[]; ops: string[] }> {
  const rows = scores.length / vocab;
  const graph = new Graph("largest");
  graph.output("ids", largestIds(graph.input("scores", "float32", ["R", vocab]), k));
  const session = await Session.create(graph, { device: "cpu", threads: 1 });
  const { ids } = await session.run({ scores: float32(scores, [rows, vocab]) });
  await session.release();
  return { ids: Array.from(ids!.data as BigInt64Array, Number), ops: graph.nodes.map(({ op }) => op) };
}

const sorted = (scores: Float32Array, vocab: number, k: number): number[] =>
  Array.from({ length: scores.length / vocab }, (_, row) => scores.subarray(row * vocab, (row + 1) * vocab)).flatMap((own) =>
    Array.from(own.keys())
      .sort((a, b) => own[b]! - own[a]!)
      .slice(0, k),
  );

describe("largestIds()", () => {
  it.each([
    [8192, 16, "blocks of 128"],
    [1740, 3, "blocks of 116"],
    [17 * 101, 4, "blocks of 101"],
    [40, 10, "no blocks: so many are asked for"],
    [1009, 4, "no blocks: a prime"],
  ])("is what sorting gives, of %i classes the %i largest (%s)", async (vocab, k, how) => {
    const scores = normals(BigInt(vocab), 5 * vocab, 1);
    const { ids, ops } = await largestOf(scores, vocab, k);
    expect(ids).toEqual(sorted(scores, vocab, k));
    expect(ops.includes("ReduceMax")).toBe(how.startsWith("blocks"));
  });

  it("finds them where they stand together, and where each is in another block", async () => {
    const [vocab, k] = [2048, 4];
    const scores = normals(1n, 2 * vocab, 1);
    for (let i = 0; i < k; i++) {
      scores[300 + i] = 100 - i;
      scores[vocab + 5 + 128 * 3 * i] = 50 + i;
    }
    const { ids } = await largestOf(scores, vocab, k);
    expect(ids).toEqual([300, 301, 302, 303, 1157, 773, 389, 5]);
  });
});
