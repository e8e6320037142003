import { RetortError } from "../../../services/shared/base/errors.js";
import { exposeWorker, moved } from "../../../services/shared/base/workers.js";

/** Methods that the worker tests call, each for one thing that can happen in a thread. */
const api = {
  double: (values: Float32Array) => {
    const doubled = values.map((x) => 2 * x);
    return moved({ doubled }, [doubled.buffer]);
  },
  count: async (to: number, tick: (i: number) => void) => {
    for (let i = 1; i <= to; i++) await tick(i);
    return to;
  },
  fail: (): string => {
    throw new RetortError("OutOfRange", "lambda is 2; it must lie in [0, 1]", { fieldPath: "objective.lambda" });
  },
  bug: () => {
    (undefined as unknown as { x: () => void }).x();
  },
  /** Takes memory without end. */
  hog: () => {
    const held: unknown[] = [];
    for (let i = 0; i < 1e6; i++) held.push(Array.from({ length: 1e5 }, () => i));
  },
  hang: () => new Promise<void>(() => {}),
  crash: () => {
    setImmediate(() => {
      throw new Error("out of luck");
    });
    return new Promise<void>(() => {});
  },
  exit: (code: number) => process.exit(code),
  block: (ms: number) => {
    const end = Date.now() + ms;
    while (Date.now() < end);
  },
};

/** What the worker can do. */
export type SampleWorker = typeof api;

exposeWorker(api);
