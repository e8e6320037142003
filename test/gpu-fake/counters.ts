import { loadedLibrary } from "../../services/shared/ml/runtime/cuda/libraries.js";

/** What the fake driver counts, in the order of driver/fake.h. */
const names = [
  "launches",
  "products",
  "ups",
  "upBytes",
  "downs",
  "downBytes",
  "across",
  "fills",
  "waits",
  "allocations",
  "allocatedBytes",
  "graphs",
] as const;

/**
 * Calls of the driver: kernels that were launched, products (of cuBLAS and cuDNN), copies to the device (`ups`) and from it
 * (`downs`) with their bytes, copies on it, fills, waits of the host, allocations with their bytes, and launches of whole graphs.
 */
export type Counts = Readonly<Record<(typeof names)[number], number>>;

/** Counts what the driver is asked for meanwhile. Nothing else may use it. */
export async function counted(work: () => Promise<unknown>): Promise<Counts> {
  const runtime = loadedLibrary("libcudart.so.13");
  if (!runtime) throw new Error("the fake driver isn't loaded");
  runtime.func("void fake_reset()")();
  await work();
  const read = new BigInt64Array(names.length);
  runtime.func("void fake_read(int64_t *into)")(read);
  return Object.fromEntries(names.map((name, i) => [name, Number(read[i])])) as Counts;
}

/** Sums or differences of counts, name by name. */
export const combined = (a: Counts, b: Counts, how: (x: number, y: number) => number): Counts =>
  Object.fromEntries(names.map((name) => [name, how(a[name], b[name])])) as Counts;

/** Calls that the host makes for something to happen on the device, or waits for. */
export const callsOf = ({ launches, products, ups, downs, across, fills, waits, graphs }: Counts): number =>
  launches + products + ups + downs + across + fills + waits + graphs;
