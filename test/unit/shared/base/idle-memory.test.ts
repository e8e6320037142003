import { setTimeout as sleep } from "node:timers/promises";
import { jest } from "@jest/globals";
import { IdleMemory } from "../../../../services/shared/base/idle-memory.js";
import { allocate, fill, free, glibc, heldMb } from "../../../support/tools/native-memory.js";

if (!glibc) console.warn("skipped: only glibc gives memory back when it is asked to; run the tests on a Linux with glibc");

(glibc ? describe : describe.skip)("IdleMemory", () => {
  it("gives back what was freed below something in use, when nothing has been done for a moment", async () => {
    const bytes = 64 * 1024;
    const blocks = Array.from({ length: 4000 }, () => fill(allocate(bytes), 1, bytes) as bigint);
    const inUse = allocate(bytes) as bigint;
    for (const block of blocks) free(block);
    const before = heldMb();
    const memory = new IdleMemory();
    memory.used();
    memory.used();
    expect(before - heldMb()).toBeLessThan(50);
    for (let i = 0; i < 100 && before - heldMb() < 150; i++) await sleep(20);
    expect(before - heldMb()).toBeGreaterThan(150);
    free(inUse);
  });
});

describe("IdleMemory, when it gives back", () => {
  let given = 0;
  const idle = (ms: number) => jest.advanceTimersByTime(ms);

  beforeEach(() => {
    jest.useFakeTimers();
    given = 0;
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it("waits longer each time the memory was wanted again soon, until that no longer happens", () => {
    const memory = new IdleMemory(() => given++);
    for (let work = 0; work < 50; work++) {
      memory.used();
      idle(150);
    }
    // After 50 ms, after 100, and then not within 150.
    expect(given).toBe(2);
    idle(60);
    expect(given).toBe(3);
  });

  it("goes on after the shortest wait where the next work comes late", () => {
    const memory = new IdleMemory(() => given++);
    memory.used();
    idle(100);
    memory.used();
    idle(110);
    expect(given).toBe(2);
    idle(5000);
    memory.used();
    idle(60);
    expect(given).toBe(3);
  });
});
