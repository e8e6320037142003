import { callback, moved, spawnWorker, type WorkerHandle } from "../../../../services/shared/base/workers.js";
import type { SampleWorker } from "../../../support/workers/sample-worker.js";

describe("spawnWorker()", () => {
  let worker: WorkerHandle<SampleWorker>;
  beforeEach(() => {
    worker = spawnWorker<SampleWorker>(new URL("../../../support/workers/sample-worker.js", import.meta.url));
  });
  afterEach(() => worker.terminate());

  it("moves arrays there and back without a copy", async () => {
    const values = Float32Array.of(1, 2, 3);
    const { doubled } = await worker.api.double(moved(values, [values.buffer]));
    expect(Array.from(doubled)).toEqual([2, 4, 6]);
    expect(values.byteLength).toBe(0);
  });

  it("calls back", async () => {
    const ticks: number[] = [];
    expect(
      await worker.api.count(
        3,
        callback((i: number) => void ticks.push(i)),
      ),
    ).toBe(3);
    expect(ticks).toEqual([1, 2, 3]);
  });

  it("keeps an error's code, fields and retry", async () => {
    const error = await worker.api.fail().catch((e: unknown) => e);
    expect(error).toMatchObject({ name: "RetortError", code: "OutOfRange", retry: "never", fieldPath: "objective.lambda" });
  });

  it("makes a bug an Internal error with the thread's stack", async () => {
    await expect(worker.api.bug()).rejects.toMatchObject({ code: "Internal", stack: expect.stringContaining("sample-worker") });
  });

  it("leaves this thread free while it works", async () => {
    await worker.api.count(
      0,
      callback(() => {}),
    );
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    await worker.api.block(300);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(20);
  });

  it.each([
    ["throws outside of a call", (w: WorkerHandle<SampleWorker>) => w.api.crash(), /sample-worker.js crashed: out of luck/],
    ["exits", (w: WorkerHandle<SampleWorker>) => w.api.exit(3), /ended by itself with code 3/],
  ])("rejects every call, past and later, when the thread %s", async (_, crash, message) => {
    const hanging = worker.api.hang().catch((e: unknown) => e);
    const crashing = Promise.resolve(crash(worker)).catch((e: unknown) => e);
    for (const error of [await hanging, await crashing, await worker.crashed])
      expect(error).toMatchObject({ code: "Internal", message: expect.stringMatching(message) });
    await expect(worker.api.double(new Float32Array(1))).rejects.toMatchObject({ code: "Internal" });
  });

  it("cancels what is in progress when it is terminated, which is no crash", async () => {
    const hanging = worker.api.hang().catch((e: unknown) => e);
    await worker.terminate();
    expect(await hanging).toMatchObject({ code: "Cancelled" });
    const outcome = await Promise.race([worker.crashed, new Promise((resolve) => setTimeout(resolve, 50, "no crash"))]);
    expect(outcome).toBe("no crash");
  });
});
