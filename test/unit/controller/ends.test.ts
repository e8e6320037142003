import type { V1Job, V1Pod } from "@kubernetes/client-node";
import { delayOf, endOfJob, endOfPod, isFinished } from "../../../services/controller/kubernetes/ends.js";

const job = (type?: string, message?: string): V1Job => ({
  status: { conditions: type ? [{ type: "Suspended", status: "False" } as const, { type, status: "True", message }] : [] },
});
const pod = (terminated: object | undefined, { restarts = 0, running = false } = {}): V1Pod =>
  ({
    status: {
      containerStatuses: [
        { name: "proxy", restartCount: 9, state: { terminated: { exitCode: 64 } } },
        {
          name: "retort",
          restartCount: restarts,
          ...(running ? { state: { running: {} }, lastState: { terminated } } : { state: { terminated } }),
        },
      ],
    },
  }) as unknown as V1Pod;
const line = (level: number, msg: string) => JSON.stringify({ level, msg });

describe("endOfJob()", () => {
  it.each([
    ["one that is running", job()],
    ["one that will fail", { status: { conditions: [{ type: "FailureTarget", status: "True" }] } } as V1Job],
  ])("is nothing for %s", (_, running) => {
    expect(endOfJob(running, [])).toBeUndefined();
    expect(isFinished(running)).toBe(false);
  });

  it("is 0 for one that is complete", () => {
    expect(endOfJob(job("Complete"), [])).toEqual({ code: 0, message: "" });
  });

  it("is the newest pod's code and last error for one that failed", () => {
    const message = `${line(30, "loading")}\n${line(60, "teachers[0].model: no such directory")}\n${line(30, "stopping")}`;
    const pods = [
      pod({ exitCode: 66, message, finishedAt: "2026-01-02T00:00:02Z" }),
      pod({ exitCode: 137, reason: "OOMKilled", finishedAt: new Date("2026-01-02T00:00:01Z") }),
    ];
    expect(endOfJob(job("Failed", "BackoffLimitExceeded"), pods)).toEqual({ code: 66, message: "teachers[0].model: no such directory" });
  });

  it("is the Job's own reason when its pods say none", () => {
    expect(endOfJob(job("Failed", "Job was active too long"), [])).toEqual({ code: 128, message: "Job was active too long" });
  });
});

describe("endOfPod()", () => {
  it("is nothing for a pod that never ended, or may crash once more", () => {
    expect(endOfPod(pod(undefined), 3)).toBeUndefined();
    expect(endOfPod({ status: {} }, 3)).toBeUndefined();
    expect(endOfPod(pod({ exitCode: 70 }, { restarts: 3, running: true }), 3)).toBeUndefined();
  });

  it("is nothing for a pod that a probe ended, however often", () => {
    expect(endOfPod(pod({ exitCode: 130 }, { restarts: 9, running: true }), 3)).toBeUndefined();
  });

  it("is an end when the input is bad, at the first crash", () => {
    expect(endOfPod(pod({ exitCode: 78, message: line(60, "cuda is not available") }), 3)).toMatchObject({
      code: 78,
      message: "cuda is not available",
    });
  });

  it("is an end after too many crashes, with what Kubernetes knows if the process said nothing", () => {
    const crashed = pod({ exitCode: 137, reason: "OOMKilled" }, { restarts: 4, running: true });
    expect(endOfPod(crashed, 3)).toMatchObject({ code: 137, message: "OOMKilled" });
  });
});

describe("delayOf()", () => {
  const waiting = (reason: string, message?: string) =>
    ({ status: { containerStatuses: [{ name: "retort", state: { waiting: { reason, message } } }] } }) as V1Pod;

  it("is what the scheduler says", () => {
    const message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.";
    const conditions = [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }];
    expect(delayOf({ status: { conditions } })).toEqual({ reason: "Unschedulable", message });
  });

  it("is what keeps a container from being made", () => {
    expect(delayOf(waiting("ImagePullBackOff", "no such image"))).toEqual({ reason: "ImagePullBackOff", message: "no such image" });
  });

  it.each(["ContainerCreating", "PodInitializing", "CrashLoopBackOff"])("is nothing while a pod is on its way: %s", (reason) => {
    expect(delayOf(waiting(reason))).toBeUndefined();
  });
});
