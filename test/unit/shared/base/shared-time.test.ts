import { SharedTime } from "../../../../services/shared/base/shared-time.js";

describe("time that several tasks share", () => {
  /** A clock and tasks that end when they are told to. */
  const start = () => {
    let now = 5000;
    const time = new SharedTime(() => now);
    const task = () => {
      let end: () => void = () => {};
      let fail: (error: Error) => void = () => {};
      const work = new Promise<string>((resolve, reject) => {
        end = () => resolve("done");
        fail = reject;
      });
      const taken = time.of(() => work);
      return { taken, end, fail };
    };
    return { task, pass: (seconds: number) => (now += 1000 * seconds) };
  };

  it("is a task's own while it is alone, and half of it while there are two", async () => {
    const { task, pass } = start();
    const first = task();
    pass(2);
    const second = task();
    pass(4);
    first.end();
    expect(await first.taken).toEqual({ result: "done", seconds: 4 });
    pass(1);
    second.end();
    expect((await second.taken).seconds).toBe(3);
  });

  it("does not pass for a task that began after a pause", async () => {
    const { task, pass } = start();
    const first = task();
    first.end();
    await first.taken;
    pass(100);
    const second = task();
    pass(1);
    second.end();
    expect((await second.taken).seconds).toBe(1);
  });

  it("is shared no longer with a task that has failed", async () => {
    const { task, pass } = start();
    const [first, second] = [task(), task()];
    pass(2);
    first.fail(new Error("failed"));
    await expect(first.taken).rejects.toThrow("failed");
    pass(3);
    second.end();
    expect((await second.taken).seconds).toBe(4);
  });
});
