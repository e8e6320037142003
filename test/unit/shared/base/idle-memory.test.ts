import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import koffi from "../../../../services/shared/base/foreign.js";
import { IdleMemory } from "../../../../services/shared/base/idle-memory.js";

const library = koffi.load(null);
const allocate = library.func("void *malloc(size_t bytes)");
const fill = library.func("void *memset(void *memory, int value, size_t bytes)");
const free = library.func("void free(void *memory)");

const heldMb = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;

const isGlibc = (process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime;
if (!isGlibc) console.warn("skipped: only glibc gives memory back when it is asked to; run the tests on a Linux with glibc");

(isGlibc ? describe : describe.skip)("IdleMemory", () => {
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
