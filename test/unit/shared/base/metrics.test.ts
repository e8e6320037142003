import { createLog } from "../../../../services/shared/base/log.js";
import { Metrics, metricsServer } from "../../../../services/shared/base/metrics.js";

describe("metricsServer()", () => {
  const metrics = new Metrics("student");
  const server = metricsServer(metrics.registry, "127.0.0.1", 0);
  beforeAll(() => server.start!());
  afterAll(() => server.stop!());
  const get = (path: string) => fetch(`http://127.0.0.1:${server.port()}${path}`);

  it("shows metrics named retort_<role>_<what>_<unit>, with the process's own", async () => {
    metrics.counter("sampled_tokens_total", "tokens sampled").inc(42);
    metrics.gauge("queue_tasks", "tasks waiting", ["stream"]).set({ stream: "prompts" }, 3);
    metrics.seconds("task", "time of a task").observe(0.3);
    const response = await get("/metrics");
    expect(response.headers.get("content-type")).toContain("text/plain");
    const text = await response.text();
    expect(text).toContain("retort_student_sampled_tokens_total 42");
    expect(text).toContain('retort_student_queue_tasks{stream="prompts"} 3');
    expect(text).toContain('retort_student_task_seconds_bucket{le="0.25"} 0');
    expect(text).toContain('retort_student_task_seconds_bucket{le="0.5"} 1');
    expect(text).toMatch(/^process_resident_memory_bytes \d{7,}/m);
  });

  it("has nothing else", async () => {
    expect((await get("/")).status).toBe(404);
  });

  it("refuses a port in use", async () => {
    const second = metricsServer(metrics.registry, "127.0.0.1", server.port());
    await expect(second.start!()).rejects.toMatchObject({
      code: "FailedPrecondition",
      message: expect.stringContaining(`${server.port()}`),
    });
  });
});

describe("createLog()", () => {
  it("writes below its level nothing", () => {
    const log = createLog("test", { level: "warn", format: "json" });
    expect([log.isLevelEnabled("info"), log.isLevelEnabled("warn")]).toEqual([false, true]);
  });
});
