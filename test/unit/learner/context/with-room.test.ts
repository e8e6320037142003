import type { RunContext } from "../../../../services/learner/context/run-context.js";
import { withRoom } from "../../../../services/learner/context/with-room.js";
import { Waits } from "../../../../services/learner/waits.js";
import { RetortError } from "../../../../services/shared/base/errors.js";
import { createLog } from "../../../../services/shared/base/log.js";

const full = () => Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });

describe("withRoom()", () => {
  const told: string[] = [];
  let control: string;
  const waits = new Waits();
  const context = {
    progress: { waitsFor: (kind: string, missing: ReadonlyMap<string, number>) => waits.set(kind, missing) },
    membership: { runId: "r", runs: { control: async () => control } },
    log: createLog("test", { level: "silent", format: "json" }),
    stop: new AbortController().signal,
    report: { waiting: (_: string, waitsFor: string) => void told.push(waitsFor) },
  } as unknown as RunContext;
  beforeEach(() => {
    told.length = 0;
    control = "run";
  });

  it("writes again until there is room, and says once which disk it waits for", async () => {
    let tries = 0;
    const written = await withRoom(context, "the checkpoint of step 7", "/tmp", async () => {
      if (tries === 1) expect(waits.now()).toMatchObject([{ on: "disk", missing: 1 }]);
      if (++tries < 2) throw full();
      return "written";
    });
    expect(waits.now()).toEqual([]);
    expect([written, tries]).toEqual(["written", 2]);
    expect(told).toEqual([expect.stringMatching(/^room on the disk of \/tmp \(\d+ MiB free\) for the checkpoint of step 7$/)]);
  });

  it("does not wait for what room does not mend", async () => {
    const refused = new RetortError("PermissionDenied", "read-only file system");
    await expect(withRoom(context, "it", "/tmp", () => Promise.reject(refused))).rejects.toBe(refused);
    expect(told).toEqual([]);
  });

  it("gives up, naming what and where, when the run is to stop", async () => {
    control = "stop";
    await expect(withRoom(context, "the checkpoint of step 7", "/tmp", () => Promise.reject(full()))).rejects.toMatchObject({
      code: "ResourceExhausted",
      message: expect.stringMatching(/^the checkpoint of step 7 could not be written to \/tmp: ENOSPC/),
    });
  });
});
