import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { locked } from "../../../../services/shared/base/remote/lock.js";

describe("locked()", () => {
  let directory: string;
  const path = () => join(directory, "file.lock");
  const lease = { renewMs: 20, expiryMs: 1000, pollMs: 10 };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-lock-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("lets one at a time do its work, and leaves nothing behind, also where work fails", async () => {
    let [inside, most] = [0, 0];
    const work = async () => {
      most = Math.max(most, ++inside);
      await sleep(5);
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => locked(path(), work, lease)));
    await expect(locked(path(), () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect([most, await readdir(directory)]).toEqual([1, []]);
  });

  it.each([
    ["a process of this machine that is gone", () => `${hostname()} 999999999 another`],
    ["this container's process of before it was started again, which had the same id", () => `${hostname()} ${process.pid} another`],
    ["a pod that has shown no life for a while", () => "another-pod 1 another"],
    ["a program that wrote nothing", () => ""],
  ])("takes what is held by %s", async (_, owner) => {
    await writeFile(path(), owner());
    expect(await locked(path(), async () => "done", { ...lease, expiryMs: 50 })).toBe("done");
    expect(await readdir(directory)).toEqual([]);
  });

  it("waits for a pod that shows that it lives, however long", async () => {
    await writeFile(path(), "another-pod 1 another");
    let renewed = 0;
    const renewing = setInterval(() => void utimes(path(), new Date(), new Date(Date.now() + ++renewed)).catch(() => {}), 20);
    let done = false;
    const waiting = locked(
      path(),
      async () => {
        done = true;
      },
      lease,
    );
    // Longer than it may be silent.
    while (renewed < (2 * lease.expiryMs) / 20) await sleep(20);
    expect(done).toBe(false);
    clearInterval(renewing);
    await rm(path());
    await waiting;
    expect(done).toBe(true);
  });

  it("shows that it lives while it works", async () => {
    const order: string[] = [];
    const work = async () => {
      await sleep(1500);
      order.push("first");
    };
    const other = locked(path(), work, lease);
    await sleep(50);
    // Less patience than the work takes: it would break in if it saw no life.
    await Promise.all([other, locked(path(), async () => order.push("second"), lease)]);
    expect(order).toEqual(["first", "second"]);
  });
});
