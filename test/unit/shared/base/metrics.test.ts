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

describe("Metrics", () => {
  const linesOf = async (metrics: Metrics) => (await metrics.registry.metrics()).split("\n").filter((line) => line.startsWith("retort_"));

  it("labels every series with what the process serves, its own among them", async () => {
    const metrics = new Metrics("teacher", { run: "r-1", teacher: "math" });
    metrics.counter("rollouts_total", "rollouts", ["signal"]).inc({ signal: "full" });
    expect(await linesOf(metrics)).toEqual(['retort_teacher_rollouts_total{signal="full",run="r-1",teacher="math"} 1']);
    expect(await metrics.registry.metrics()).toMatch(/^process_cpu_seconds_total\{run="r-1",teacher="math"\}/m);
  });

  it("looks figures up whenever it is asked, and leaves out what isn't there", async () => {
    const metrics = new Metrics("controller");
    let found: readonly [string, number][] = [];
    metrics.observed("queue_messages", "messages", ["run"], (set) => {
      for (const [run, value] of found) set({ run }, value);
    });
    metrics.observed("runs", "runs", [], (set) => {
      if (found.length > 0) set({}, found.length);
    });
    expect(await linesOf(metrics)).toEqual([]);
    found = [
      ["a", 2],
      ["b", 0],
    ];
    expect(await linesOf(metrics)).toEqual([
      'retort_controller_queue_messages{run="a"} 2',
      'retort_controller_queue_messages{run="b"} 0',
      "retort_controller_runs 2",
    ]);
    found = [["b", 1]];
    expect(await linesOf(metrics)).toEqual(['retort_controller_queue_messages{run="b"} 1', "retort_controller_runs 1"]);
  });

  it("takes over what is counted elsewhere", async () => {
    const metrics = new Metrics("student");
    let seconds = 0.5;
    metrics.total("busy_seconds_total", "seconds", () => seconds);
    expect(await linesOf(metrics)).toEqual(["retort_student_busy_seconds_total 0.5"]);
    seconds = 2;
    expect(await linesOf(metrics)).toEqual(["retort_student_busy_seconds_total 2"]);
  });
});

describe("createLog()", () => {
  it("writes below its level nothing", () => {
    const log = createLog("test", { level: "warn", format: "json" });
    expect([log.isLevelEnabled("info"), log.isLevelEnabled("warn")]).toEqual([false, true]);
  });
});
