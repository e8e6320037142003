import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finding } from "../../services/cli/machine/examine.js";
import { retort } from "../support/runs/retort.js";

const findingsOf = (stdout: string) => new Map((JSON.parse(stdout) as Finding[]).map((finding) => [finding.what, finding]));

describe("retort doctor", () => {
  it("tells what the machine has, and that is enough where only a device besides the CPU is missing", async () => {
    const { code, stdout } = await retort(["doctor", "--json"]);
    const findings = findingsOf(stdout);
    expect(code).toBe(0);
    expect(findings.get("Node")).toMatchObject({ state: "ok", found: expect.stringContaining(process.version) });
    expect(findings.get("memory")!.found).toMatch(/\d GB.*free; \d+ cores/);
    expect(findings.get("nats-server")!.state).toBe("ok");
    expect(findings.get("device cpu")!.state).toBe("ok");
    // Whatever cannot be used has a reason.
    for (const { state, remedy } of findings.values()) expect(state === "ok" || Boolean(remedy)).toBe(true);
  });

  it("ends with 78 where what is needed is missing, each with its remedy", async () => {
    // Neither nats-server nor Go; onnxruntime writes to the cache.
    const cache = await mkdtemp(join(tmpdir(), "retort-doctor-"));
    const { code, stdout } = await retort(["doctor", "--json", "--device", "cuda"], {
      PATH: cache,
      XDG_CACHE_HOME: cache,
      RETORT_NATS_URL: "",
    });
    await rm(cache, { recursive: true });
    const findings = findingsOf(stdout);
    expect(findings.get("nats-server")).toMatchObject({ state: "lacking", remedy: expect.stringContaining("Install nats-server") });
    if (findings.get("device cuda")!.state === "ok") return;
    expect(code).toBe(78);
    expect(findings.get("device cuda")).toMatchObject({ state: "lacking", remedy: expect.stringMatching(/driver|retort setup --cuda/) });
  });

  it("says why WebGPU is not used, and ends with 78 where it must be", async () => {
    const { code, stdout } = await retort(["doctor", "--json", "--device", "webgpu"]);
    expect(code).toBe(78);
    expect(findingsOf(stdout).get("device webgpu")).toMatchObject({
      state: "lacking",
      remedy: expect.stringMatching(/FusedMatMul.*use device cpu, or cuda/),
    });
  });

  it("refuses a device that there is no word for", async () => {
    const { code, stderr } = await retort(["doctor", "--device", "tpu"]);
    expect([code, stderr]).toEqual([64, expect.stringContaining("cpu, cuda, webgpu")]);
  });
});
