import { WorkerPool } from "../../../../services/shared/base/worker-pool.js";
import type { SampleWorker } from "../../../support/workers/sample-worker.js";

const module = new URL("../../../support/workers/sample-worker.js", import.meta.url);
const call = (what: string, timeoutMs = 60_000) => ({ what, timeoutMs });

describe("WorkerPool", () => {
  let pool: WorkerPool<SampleWorker>;
  beforeEach(() => {
    pool = new WorkerPool<SampleWorker>(module, { size: 1, memoryMb: 64 });
  });
  afterEach(() => pool.stop());

  it("ends work that takes too long, and works for others afterwards", async () => {
    await expect(pool.run((api) => api.block(60_000), call("blocking", 500))).rejects.toMatchObject({
      code: "ResourceExhausted",
      retry: "never",
      message: "blocking took longer than 0.5 s",
    });
    await expect(pool.run((api) => api.block(0), call("nothing"))).resolves.toBeUndefined();
  });

  it("ends work that takes all memory, and works for others afterwards", async () => {
    await expect(pool.run((api) => api.hog(), call("hoarding"))).rejects.toMatchObject({
      code: "ResourceExhausted",
      retry: "never",
      message: "hoarding took more than 64 MiB of memory",
    });
    await expect(pool.run((api) => api.block(0), call("nothing"))).resolves.toBeUndefined();
  });

  it("passes on what the work throws, and makes the thread anew when it crashes", async () => {
    await expect(pool.run((api) => api.fail(), call("failing"))).rejects.toMatchObject({ code: "OutOfRange" });
    await expect(pool.run((api) => api.exit(3), call("exiting"))).rejects.toMatchObject({ code: "Internal" });
    await expect(pool.run((api) => api.block(0), call("nothing"))).resolves.toBeUndefined();
  });

  it("works for one after the other, as many at a time as it has threads", async () => {
    const order: string[] = [];
    const work = (name: string, ms: number) => pool.run((api) => api.block(ms), call(name)).then(() => order.push(name));
    await Promise.all([work("first", 200), work("second", 0)]);
    expect(order).toEqual(["first", "second"]);
  });

  it("ends what is under way and what waits when it is stopped", async () => {
    const calls = ["under way", "waiting"].map((name) => pool.run((api) => api.block(60_000), call(name)));
    const outcomes = Promise.all(calls.map((one) => expect(one).rejects.toMatchObject({ code: "Cancelled" })));
    setTimeout(() => void pool.stop(), 300);
    await outcomes;
  });

  it("ends a call when its signal says so", async () => {
    const stop = new AbortController();
    const working = pool.run((api) => api.block(60_000), { ...call("blocking"), signal: stop.signal });
    setTimeout(() => stop.abort(), 300);
    await expect(working).rejects.toMatchObject({ code: "Cancelled", message: "blocking was stopped" });
  });
});
