import { Graph } from "../../services/shared/ml/graph/graph.js";
import * as op from "../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import { Session } from "../../services/shared/ml/runtime/session.js";

const N = 2560,
  D = 256,
  V = 512;
const g = new Graph("g");
const x = g.input("x", "float32", [V, D]),
  i1 = g.input("i1", "int64", [N, 1]),
  u = g.input("u", "float32", [N, D]);
g.output("nd", op.scatterND(x, i1, u, "add"));
const wide = op.expand(i1, g.constant({ dtype: "int64", dims: [2], data: BigInt64Array.of(BigInt(N), BigInt(D)) }), [N, D]);
const g2 = g;
g2.output("el", op.scatterElements(x, wide, u, 0, "add"));
const s = await Session.create(g, { device: "cpu", threads: 2 });
const idx = BigInt64Array.from({ length: N }, (_, i) => BigInt((i * 7) % 5));
const feeds = {
  x: float32(new Float32Array(V * D), [V, D]),
  i1: { dtype: "int64" as const, dims: [N, 1], data: idx },
  u: float32(
    Float32Array.from({ length: N * D }, (_, i) => Math.sin(i)),
    [N, D],
  ),
};
let ref: any;
for (let k = 0; k < 6; k++) {
  const t = performance.now();
  const r = await s.run(feeds);
  const nd = r.nd!.data as Float32Array,
    el = r.el!.data as Float32Array;
  if (!ref) ref = nd.slice();
  let bad = 0,
    d2 = 0;
  for (let i = 0; i < nd.length; i++) {
    if (nd[i] !== ref[i]) bad++;
    if (Math.abs(nd[i]! - el[i]!) > 1e-3) d2++;
  }
  console.log(bad, d2, (performance.now() - t).toFixed(1));
}
