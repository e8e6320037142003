import type { V1Job, V1OwnerReference, V1Pod } from "@kubernetes/client-node";
import { delayOf, endOfJob, isFinished, PodEnds } from "../../../../services/controller/kubernetes/ends.js";

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

/** A pod whose fetch has ended so many times, and whose role has not started. */
const fetching = (restarts: number, terminated: object, { waits = false } = {}): V1Pod =>
  ({
    metadata: { uid: "f" },
    status: {
      initContainerStatuses: [
        { name: "own", restartCount: 0, state: { terminated: { exitCode: 0 } } },
        {
          name: "retort-fetch",
          restartCount: restarts,
          ...(waits ? { state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: { terminated } } : { state: { terminated } }),
        },
      ],
      containerStatuses: [{ name: "retort", restartCount: 0, state: { waiting: { reason: "PodInitializing" } } }],
    },
  }) as unknown as V1Pod;

describe("a fetch that fails", () => {
  const message =
    "fetching hf://a/b (2 GB) …\nretort: hf://a/b@1: https://hub answers with status 404: there is no such repository or revision\n";
  const reason = "hf://a/b@1: https://hub answers with status 404: there is no such repository or revision";
  const limits = { maxRestarts: 3, windowMs: 600_000 };

  it("ends the run with what the fetch says where no other try helps", () => {
    const noted = new PodEnds(limits).note(fetching(0, { exitCode: 66, message, finishedAt: new Date() }));
    expect(noted).toMatchObject({ restart: false, cause: "hopeless", code: 66, message: reason });
    expect(endOfJob(job("Failed"), [fetching(0, { exitCode: 66, message, finishedAt: new Date() })])).toEqual({
      code: 66,
      message: reason,
    });
  });

  it("becomes a warning where what it needs is away", () => {
    const ends = new PodEnds(limits);
    const away = { exitCode: 69, message: "retort: s3://b/k: http://s3 can't be reached", finishedAt: new Date() };
    const told = [1, 2, 3].map((restarts) => ends.note(fetching(restarts, away, { waits: true })));
    expect(told.map((noted) => [noted?.restart, noted?.warning])).toEqual([
      [true, undefined],
      [true, undefined],
      [true, expect.stringContaining("something that it needs is away")],
    ]);
    expect(told[2]?.message).toBe("s3://b/k: http://s3 can't be reached");
  });

  it("isn't taken for an end of the role, which starts to count by itself", () => {
    const ends = new PodEnds(limits);
    ends.note(fetching(2, { exitCode: 69, finishedAt: new Date() }, { waits: true }));
    const done = fetching(2, { exitCode: 0, finishedAt: new Date() });
    const crashed = {
      ...done,
      status: { ...done.status, containerStatuses: pod({ exitCode: 70, finishedAt: new Date() }).status?.containerStatuses },
    } as V1Pod;
    expect(ends.note(done)).toBeUndefined();
    expect(ends.note(crashed)).toMatchObject({ cause: "crashed", count: 1, code: 70 });
  });
});

describe("PodEnds", () => {
  const limits = { maxRestarts: 3, windowMs: 600_000 };
  const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + 1000 * seconds).toISOString();
  /** A pod whose container runs again after so many restarts, the last at a time. */
  const restarted = (restarts: number, seconds: number, terminated: object = { exitCode: 70 }, uid = "a"): V1Pod => ({
    ...pod({ finishedAt: at(seconds), ...terminated }, { restarts, running: true }),
    metadata: { uid },
  });

  it("are nothing for a pod that never ended, and nothing again for the same end", () => {
    const ends = new PodEnds(limits);
    expect(ends.note(pod(undefined))).toBeUndefined();
    expect(ends.note({ status: {} })).toBeUndefined();
    expect(ends.note(restarted(1, 0))).toMatchObject({ restart: true, count: 1 });
    expect(ends.note(restarted(1, 0))).toBeUndefined();
  });

  it("count crashes in the window, not over the pod's life", () => {
    const ends = new PodEnds(limits);
    const restarts = [1, 2, 3, 4, 5, 6, 7].map((n) => ends.note(restarted(n, 300 * n))!.restart);
    expect(restarts).toEqual([true, true, true, true, true, true, true]);
    expect(ends.note(restarted(8, 2110))!.restart).toBe(true);
    expect(ends.note(restarted(9, 2120, { exitCode: 139 }))).toMatchObject({ restart: false, code: 139, count: 4 });
  });

  it("count an end that the watch missed, but none from before it began", () => {
    const ends = new PodEnds(limits);
    expect(ends.note(restarted(40, 0))).toMatchObject({ restart: true, count: 1 });
    expect(ends.note(restarted(44, 60))).toMatchObject({ restart: false, count: 5 });
  });

  it("do not count what a probe ended, nor what waits for something that is away, and let kills pass ten times as often", () => {
    const ends = new PodEnds({ maxRestarts: 1, windowMs: 600_000 });
    for (let n = 1; n < 60; n++) expect(ends.note(restarted(n, n, { exitCode: n % 2 ? 130 : 69 }, "asked"))!.restart).toBe(true);
    const oom = { exitCode: 137, reason: "OOMKilled", message: line(50, "an older error") };
    const notes = Array.from({ length: 11 }, (_, n) => ends.note(restarted(n + 1, n, oom, "killed"))!);
    expect(notes.map(({ restart }) => restart)).toEqual([...Array<boolean>(10).fill(true), false]);
    expect(notes[2]).toMatchObject({ warning: "was killed 3 times in 10 minutes; out of memory?", message: "OOMKilled" });
    expect(notes[10]!.message).toBe("was killed 11 times in 10 minutes; out of memory? OOMKilled");
  });

  it("count a learner's crashes over the pods of its Job, however their order is told", () => {
    const ends = new PodEnds(limits);
    const learner = (uid: string, job: string, seconds: number): V1Pod => ({
      ...pod({ exitCode: 70, finishedAt: at(seconds) }),
      metadata: { uid, labels: { "app.kubernetes.io/component": "learner" }, ownerReferences: [{ uid: job } as V1OwnerReference] },
    });
    expect(ends.note(learner("p3", "job", 30))!.count).toBe(1);
    expect(ends.note(learner("p0", "job", -3600))!.count).toBe(1);
    expect(ends.note(learner("p1", "job", 10))!.count).toBe(2);
    expect(ends.note(learner("other", "another job", 20))!.count).toBe(1);
    expect(ends.note(learner("p2", "job", 20))!.count).toBe(3);
    expect(ends.note(learner("p4", "job", 40))).toMatchObject({ count: 4, restart: false });
  });

  it("end a pod at the first crash when its input is bad", () => {
    expect(new PodEnds(limits).note(pod({ exitCode: 78, message: line(60, "cuda is not available") }))).toMatchObject({
      restart: false,
      cause: "hopeless",
      message: "cuda is not available",
    });
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
