import { Graph } from "../../services/shared/ml/graph/graph.js";
import { matMul, reduceSum } from "../../services/shared/ml/graph/ops/index.js";
import { float32 } from "../../services/shared/ml/graph/tensor.js";
import { Session } from "../../services/shared/ml/runtime/session.js";

/** Threads of every program that is raced. */
export const threads = Number(process.env.RETORT_BENCH_THREADS ?? 2);

/** Something to race: a name, and one repetition of the work. */
export interface Contender {
  readonly name: string;
  run(): Promise<unknown>;
  /** The seconds of the repetition, where the contender measures them itself (another process). */
  readonly measures?: boolean;
}

/** Median seconds of each contender; repetitions take turns, so that the machine's moods hit all alike. */
export async function race(contenders: readonly Contender[], repetitions: number): Promise<Map<string, number>> {
  const seconds = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  for (let repetition = -1; repetition < repetitions; repetition++) {
    for (const contender of contenders) {
      const start = performance.now();
      const result = await contender.run();
      // The first round warms up.
      if (repetition >= 0) seconds.get(contender.name)!.push(contender.measures ? Number(result) : (performance.now() - start) / 1000);
    }
  }
  return new Map([...seconds].map(([name, list]) => [name, median(list)]));
}

export const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!;

/** GFLOP/s of a 1024³ matrix product here and now: the roof that the work's own rate is compared with. */
export async function gemmRate(): Promise<number> {
  const size = 1024;
  const graph = new Graph("gemm");
  const matrix = float32(new Float32Array(size * size).fill(0.5), [size, size]);
  graph.output("y", matMul(graph.input("x", "float32", [size, size]), graph.initializer("w", matrix)));
  const session = await Session.create(graph, { device: "cpu", threads, spinning: true });
  const result = await race([{ name: "gemm", run: () => session.run({ x: matrix }) }], 7);
  await session.release();
  return (2 * size ** 3) / result.get("gemm")! / 1e9;
}

/** Bytes per second of reading memory with all threads here and now: the roof of decoding, which reads all weights each step. */
export async function readRate(): Promise<number> {
  const [rows, columns] = [1024, 65536];
  const graph = new Graph("read");
  graph.output("y", reduceSum(graph.input("x", "float32", [rows, columns]), [1], false));
  const session = await Session.create(graph, { device: "cpu", threads, spinning: true });
  const matrix = float32(new Float32Array(rows * columns).fill(0.5), [rows, columns]);
  const result = await race([{ name: "read", run: () => session.run({ x: matrix }) }], 7);
  await session.release();
  return (4 * rows * columns) / result.get("read")!;
}

/** Whether a Python with torch and transformers was named to race against. */
export const havePeers = (): boolean => {
  if (process.env.RETORT_PEERS_PYTHON) return true;
  console.log("no peers: set RETORT_PEERS_PYTHON to a Python that has torch and transformers");
  return false;
};
