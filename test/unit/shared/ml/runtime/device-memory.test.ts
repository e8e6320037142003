import { found } from "../../../../../services/shared/base/found.js";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import * as op from "../../../../../services/shared/ml/graph/ops/index.js";
import { float32, int64 } from "../../../../../services/shared/ml/graph/tensor.js";
import { DeviceMemory } from "../../../../../services/shared/ml/runtime/device-memory.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";

const native = { device: "cpu", threads: 1, runtime: "native" } as const;

function doubled(): Graph {
  const graph = new Graph("doubled");
  graph.output("y", op.mul(graph.input("x", "float32", ["A", "B"]), 2));
  graph.output("sum", op.reduceSumSquare(graph.input("x2", "float32", ["N"])));
  return graph;
}

describe("DeviceMemory", () => {
  let memory: DeviceMemory;
  beforeEach(async () => {
    memory = await DeviceMemory.open(native);
  });
  afterEach(() => memory.release());

  it("gives back what was written to it, whatever the dimensions, and nothing for nothing", async () => {
    for (const dims of [[2, 3], [], [0, 4], [5]]) {
      const size = dims.reduce((product, dim) => product * dim, 1);
      const data = Float32Array.from({ length: size }, (_, i) => i + 0.5);
      const tensor = memory.allocate(dims);
      await memory.upload(float32(data, dims), tensor);
      const read = new Float32Array(size);
      await memory.download(tensor, read);
      expect(read).toEqual(data);
    }
  });

  it("is read and written by graphs, in place too, beside arrays of this process", async () => {
    const session = await Session.create(doubled(), native);
    const x = memory.allocate([2, 2]);
    await memory.upload(float32([1, 2, 3, 4], [2, 2]), x);
    const outputs = await session.run({ x, x2: float32([3, 4], [2]) }, { y: x });
    expect(Object.keys(outputs)).toEqual(["sum"]);
    expect(outputs.sum!.data).toEqual(Float32Array.of(25));
    const read = new Float32Array(4);
    await memory.download(x, read);
    expect(read).toEqual(Float32Array.of(2, 4, 6, 8));
    await session.release();
  });

  it("has runs whose inputs and outputs have their places, one going on from what another made, in place too", async () => {
    const session = await Session.create(doubled(), native);
    const [x, sums] = [memory.allocate([1, 2]), memory.allocate([2])];
    await memory.upload(float32([1, 2], [1, 2]), x);
    const fed = { x, x2: float32([3], [1]) };
    const runs = [0, 1].map((place) => session.bind(fed, { y: x, sum: memory.part(sums, place, []) }));
    for (const run of [...runs, ...runs]) await run.run();
    const read = new Float32Array(2);
    await memory.download(x, read);
    expect(read).toEqual(Float32Array.of(16, 32));
    await memory.download(sums, read);
    expect(read).toEqual(Float32Array.of(9, 9));
    for (const run of runs) run.release();
    await session.release();
  });

  it("takes outputs of any size that a run has left there, which outlive their session", async () => {
    const session = await Session.create(doubled(), native);
    const { outputs, kept } = await session.runKeeping({ x: float32([1, 2, 3], [1, 3]), x2: float32([2], [1]) }, ["sum"], ["y"]);
    await session.release();
    expect(outputs.sum?.data).toEqual(Float32Array.of(4));
    const y = found(kept.y, "y");
    expect(y).toMatchObject({ dtype: "float32", dims: [1, 3] });
    const read = new Float32Array(3);
    await memory.download(y, read);
    expect(read).toEqual(Float32Array.of(2, 4, 6));
    y.release();
  });

  it("holds every element type, copies, and gives room back", async () => {
    const [from, to] = [memory.allocate([3], "int64"), memory.allocate([3], "int64")];
    await memory.upload(int64([1, -2, 3]), from);
    await memory.copy(from, to);
    const read = new BigInt64Array(2);
    await memory.download(memory.part(to, 1, [2]), read);
    expect(read).toEqual(BigInt64Array.of(-2n, 3n));
    const bytes = new Uint8Array(8);
    await memory.download(memory.view(to, 8, "uint8", [8]), bytes);
    expect(new BigInt64Array(bytes.buffer)).toEqual(BigInt64Array.of(-2n));
    memory.free(from);
    // A second time it is no longer this memory's.
    memory.free(from);
    memory.free(to);
  });

  it("says how much there is no room for, and the way out", () => {
    expect(() => memory.allocate([2 ** 50])).toThrow(/no room for 4503599627370496 bytes more .*student\.lora/);
  });

  it("has parts of a tensor, and zeros where they are asked for, also over what is not finite", async () => {
    const session = await Session.create(doubled(), native);
    const sums = memory.allocate([3]);
    await memory.upload(float32([Number.NaN, Number.POSITIVE_INFINITY, 1], [3]), sums);
    await memory.clear(sums);
    await session.run({ x2: float32([2], [1]), x: float32([1], [1, 1]) }, { sum: memory.part(sums, 1, []) }, ["sum"]);
    const read = new Float32Array(3);
    await memory.download(sums, read);
    expect(read).toEqual(Float32Array.of(0, 4, 0));
    await session.release();
  });
});

describe("the runtime stock", () => {
  const stock = { ...native, runtime: "stock" } as const;

  it("refuses tensors that stay on a device, with the way out", async () => {
    const plain = await Session.create(doubled(), stock);
    const refusal = "tensors stay on a device with the runtime native alone";
    expect(() => plain.bind({}, {})).toThrow(refusal);
    expect(() => plain.runKeeping({}, [], [])).toThrow(refusal);
    await plain.release();
    await expect(DeviceMemory.open(stock)).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining("RETORT_RUNTIME=native"),
    });
    const memory = await DeviceMemory.open(native);
    const session = await Session.create(doubled(), stock);
    await expect(session.run({ x: memory.allocate([1, 1]), x2: float32([1], [1]) })).rejects.toThrow("the runtime stock has no tensors");
    await session.release();
    await memory.release();
  });
});
