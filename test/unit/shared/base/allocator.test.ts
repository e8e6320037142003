import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { inBlocksApart, trimMemory } from "../../../../services/shared/base/allocator.js";
import { allocatorEnvironment, allocatorTunables } from "../../../../services/shared/base/allocator-environment.js";
import { allocate, fill, free, glibc, heldMb, libraries } from "../../../support/tools/native-memory.js";

if (!glibc) console.warn("skipped: these are settings of glibc; run the tests on a Linux with glibc");

/** Fills 200 MB in blocks of 1 MB, frees all below the last, and says how many MB less are held then. */
function givenBack(): number {
  const blocks = Array.from({ length: 200 }, () => fill(allocate(2 ** 20), 1, 2 ** 20) as bigint);
  const inUse = allocate(2 ** 20) as bigint;
  const before = heldMb();
  for (const block of blocks) free(block);
  const after = heldMb();
  free(inUse);
  return before - after;
}

(glibc ? describe : describe.skip)("glibc's allocator", () => {
  it("takes blocks by themselves as long as works ask for that, and from its heap behind the last of them", async () => {
    // What earlier tests have freed in the heap is taken before anything is asked of the system.
    const taken = Array.from({ length: 200 }, () => allocate(2 ** 20) as bigint);
    const inside = await inBlocksApart(async () => {
      await inBlocksApart(async () => {});
      return givenBack();
    });
    expect(inside).toBeGreaterThan(150);
    expect(givenBack()).toBeLessThan(50);
    await expect(inBlocksApart(() => Promise.reject(new Error("no model")))).rejects.toThrow("no model");
    expect(givenBack()).toBeLessThan(50);
    for (const block of taken) free(block);
    await trimMemory();
  });

  it("knows what processes that compute tell it, unless the user has told it something else", () => {
    const loader = libraries.find((path) => /\/ld-linux[^/]*$/.test(path))!;
    const env = allocatorEnvironment({});
    const known = execFileSync(loader, ["--list-tunables"], { env: { ...process.env, ...env }, encoding: "utf8" });
    const values = [...allocatorTunables.matchAll(/([\w.]+)=(\d+)/g)].map(([, name, value]) => [name, value]);
    expect(values).toHaveLength(3);
    for (const [name, value] of values) expect(known).toMatch(new RegExp(`^${name}: 0x${value} `, "m"));
    expect(allocatorEnvironment({ GLIBC_TUNABLES: "glibc.malloc.check=3" })).toEqual({ GLIBC_TUNABLES: "glibc.malloc.check=3" });
  });

  it("is told the same in the image", () => {
    expect(readFileSync("deploy/Dockerfile", "utf8")).toContain(`GLIBC_TUNABLES=${allocatorTunables}\n`);
  });
});
