import { create } from "@bufbuild/protobuf";
import type { V1Deployment, V1Job } from "@kubernetes/client-node";
import { Cluster, kinds } from "../../../services/controller/kubernetes/cluster.js";
import { selectorOf } from "../../../services/controller/kubernetes/labels.js";
import { KubernetesLauncher } from "../../../services/controller/kubernetes/launcher.js";
import type { PodTemplates } from "../../../services/controller/kubernetes/pod-template.js";
import type { Delay, Exit, RoleSet } from "../../../services/controller/launch/launcher.js";
import { defaultScaling } from "../../../services/controller/launch/scaling.js";
import { createLog } from "../../../services/shared/base/log.js";
import { type Run, RunSchema } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { findKubeApi, howToGetOne, KubeApi, tokens } from "../../support/kube/kube-api.js";
import { finishJob, grantRights, installKeda, makePod, runPod } from "../../support/kube/kube-objects.js";
import { eventually } from "../../support/servers/nats.js";

const programs = findKubeApi();
if (!programs) console.log(`skipped: the Kubernetes launcher against a real API server; it ${howToGetOne}`);
const log = createLog("test", { level: "silent", format: "json" });
const namespace = "default";
const owner = "release-roles";

const templatesOf = (image: string, limits?: Record<string, string>): PodTemplates => {
  const template = { spec: { containers: [{ name: "retort", image, resources: { limits } }] } };
  return { learner: template, reward: template, student: template, teacher: template };
};
const runOf = (runId: string): Run => create(RunSchema, { runId });
const setsOf = (runId: string): RoleSet[] => [
  { runId, role: "learner", replicas: 1 },
  { runId, role: "student", replicas: 3 },
  // As the supervisor says of a teacher that isn't shared.
  { runId, role: "teacher", teacher: "math", replicas: 1, pool: undefined },
];

(programs ? describe : describe.skip)("KubernetesLauncher, against a real API server", () => {
  const api = new KubeApi();
  let cluster: Cluster;
  const open: KubernetesLauncher[] = [];
  const delays: Delay[] = [];

  /** A launcher with no more rights than the documentation lists. */
  const launcher = (options: Partial<ConstructorParameters<typeof KubernetesLauncher>[0]> = {}): KubernetesLauncher => {
    const restricted = new Cluster(api.config(tokens.controller), namespace);
    const made = new KubernetesLauncher({
      cluster: restricted,
      templates: templatesOf("retort:1"),
      owner,
      maxRestarts: 3,
      log,
      ...options,
    });
    open.push(made);
    return made;
  };
  const jobOf = (runId: string) => cluster.read<V1Job>(kinds.job, `${runId}-learner`);
  const studentsOf = (runId: string) => cluster.read<V1Deployment>(kinds.deployment, `${runId}-student`);
  const watched = async (handle: (exit: Exit) => void = () => {}, watching = launcher()) => {
    const exits: Exit[] = [];
    await watching.watch({
      ended: async (exit) => {
        handle(exit);
        exits.push(exit);
      },
      delayed: async (delay) => void delays.push(delay),
    });
    return exits;
  };

  beforeAll(async () => {
    await api.start(programs!);
    cluster = new Cluster(api.config(tokens.admin), namespace);
    await grantRights(api, namespace, owner);
  });
  afterEach(async () => {
    for (const launched of open.splice(0)) await launched.close();
  });
  afterAll(() => api.stop());

  it("makes what the API server accepts: a Job that the release owns, Deployments that the Job owns", async () => {
    await launcher().launch(runOf("first"), setsOf("first"));
    const job = await jobOf("first");
    const release = await cluster.read(kinds.configMap, owner);
    expect(job!.metadata!.ownerReferences).toMatchObject([{ kind: "ConfigMap", name: owner, uid: release!.metadata!.uid }]);
    const deployments = await cluster.list<V1Deployment>(kinds.deployment, selectorOf(owner, "first"));
    expect(deployments.map(({ metadata, spec }) => [metadata!.name, spec!.replicas])).toEqual([
      ["first-student", 3],
      ["first-teacher-math", 1],
    ]);
    for (const { metadata } of deployments) expect(metadata!.ownerReferences).toMatchObject([{ kind: "Job", uid: job!.metadata!.uid }]);
  });

  it("has pods fetch what they need, each role its own, by objects that the API server accepts", async () => {
    const able = {
      spec: { initContainers: [{ name: "retort-fetch", image: "retort:1" }], containers: [{ name: "retort", image: "retort:1" }] },
    };
    const templates = { learner: able, reward: able, student: templatesOf("retort:1").student, teacher: able };
    const launching = launcher({ templates });
    expect([launching.fetches, launcher().fetches]).toEqual([true, false]);
    const fetches = ["s3://b/rows.jsonl", "hf://a/b@1"].map((reference, i) => ({
      reference,
      path: `/cache/${i}`,
      withoutWeights: i === 1,
    }));
    const sets = setsOf("fetching").map((set) => (set.role === "student" ? set : { ...set, fetches }));
    await launching.launch(runOf("fetching"), sets);
    const pods = [(await jobOf("fetching"))!.spec!.template.spec!, (await studentsOf("fetching"))!.spec!.template.spec!];
    expect(pods.map(({ initContainers = [] }) => initContainers.map(({ name, args }) => [name, args]))).toEqual([
      [
        ["retort-fetch", ["fetch", "s3://b/rows.jsonl", "--at", "/cache/0"]],
        ["retort-fetch-configs", ["fetch", "hf://a/b@1", "--at", "/cache/1", "--without-weights"]],
      ],
      [],
    ]);
  });

  /** What kubelets tell when every role has a pod. */
  const podsRun = async (runId: string) => {
    await makePod(api, { runId, role: "student" }, owner, "running");
    await makePod(api, { runId, role: "teacher", teacher: "math" }, owner, "running");
  };
  const isSuspended = async (runId: string) => (await jobOf(runId))!.spec!.suspend === true;
  const begun = (runId: string) => eventually(`the learner of ${runId} may begin`, async () => !(await isSuspended(runId)));
  const replicasOf = async (runId: string) => (await studentsOf(runId))!.spec!.replicas;

  it("lets the learner begin when every other role has a pod that runs, and not before", async () => {
    const launching = launcher();
    await launching.launch(runOf("ordered"), setsOf("ordered"));
    expect(await isSuspended("ordered")).toBe(true);
    await makePod(api, { runId: "ordered", role: "student" }, owner, "running");
    await makePod(api, { runId: "ordered", role: "teacher", teacher: "math" }, owner, { waiting: "ContainerCreating", message: "" });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await isSuspended("ordered")).toBe(true);
    await makePod(api, { runId: "ordered-2", role: "teacher", teacher: "math" }, owner, "running");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await isSuspended("ordered")).toBe(true);
    await runPod(api, { runId: "ordered", role: "teacher", teacher: "math" });
    await begun("ordered");
  });

  it("waits on after a restart of the controller", async () => {
    const first = launcher();
    await first.launch(runOf("rewaited"), setsOf("rewaited"));
    await first.close();
    await launcher().launch(runOf("rewaited"), setsOf("rewaited"));
    await podsRun("rewaited");
    await begun("rewaited");
  });

  it("starts the learner of a run that is to stop without the others", async () => {
    await launcher().launch(runOf("stopping"), setsOf("stopping"));
    await launcher().launch(runOf("stopping"), setsOf("stopping").slice(0, 1));
    expect(await isSuspended("stopping")).toBe(false);
  });

  it("gives everything back while a run is paused, and takes it up again", async () => {
    const launching = launcher();
    await launching.launch(runOf("paused"), setsOf("paused"));
    await podsRun("paused");
    await begun("paused");
    const uid = (await jobOf("paused"))!.metadata!.uid;
    for (let again = 0; again < 2; again++) await launching.pause("paused", setsOf("paused"));
    expect([await isSuspended("paused"), await replicasOf("paused")]).toEqual([true, 0]);
    await launching.launch(runOf("paused"), setsOf("paused"));
    expect(await replicasOf("paused")).toBe(3);
    // Its pods run still in the eyes of this server, which has no kubelets.
    await begun("paused");
    expect((await jobOf("paused"))!.metadata!.uid).toBe(uid);
  });

  it("leaves a run that is paused while it waits without a pod", async () => {
    const launching = launcher();
    await launching.launch(runOf("unbegun"), setsOf("unbegun"));
    await launching.pause("unbegun", setsOf("unbegun"));
    await podsRun("unbegun");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect([await isSuspended("unbegun"), await replicasOf("unbegun")]).toEqual([true, 0]);
  });

  it("adopts a run after a restart as it is, whatever the templates say now", async () => {
    await launcher().launch(runOf("adopted"), setsOf("adopted"));
    const [job, students] = [await jobOf("adopted"), await studentsOf("adopted")];
    await launcher({ templates: templatesOf("retort:2") }).launch(runOf("adopted"), setsOf("adopted"));
    expect((await jobOf("adopted"))!.metadata!.uid).toBe(job!.metadata!.uid);
    expect((await studentsOf("adopted"))!.metadata).toMatchObject({ uid: students!.metadata!.uid, generation: 1 });
    await podsRun("adopted");
    await begun("adopted");
  });

  it("makes again what was deleted meanwhile", async () => {
    await launcher().launch(runOf("mended"), setsOf("mended"));
    await cluster.delete(kinds.deployment, "mended-student");
    await launcher().launch(runOf("mended"), setsOf("mended"));
    expect(await studentsOf("mended")).toBeDefined();
  });

  it("puts a new learner in the place of one that has ended", async () => {
    await launcher().launch(runOf("resumed"), setsOf("resumed"));
    const before = await jobOf("resumed");
    await finishJob(api, before!, "Complete");
    await launcher().launch(runOf("resumed"), setsOf("resumed"));
    const after = await jobOf("resumed");
    expect(after!.metadata!.uid).not.toBe(before!.metadata!.uid);
    expect((await studentsOf("resumed"))!.metadata!.ownerReferences).toMatchObject([{ uid: after!.metadata!.uid }]);
  });

  it("takes one run away and leaves another", async () => {
    await launcher().launch(runOf("leaving"), setsOf("leaving"));
    await launcher().launch(runOf("staying"), setsOf("staying"));
    await launcher().stop("leaving");
    expect(await jobOf("leaving")).toBeUndefined();
    expect(await studentsOf("leaving")).toBeUndefined();
    expect(await jobOf("staying")).toBeDefined();
  });

  it("tells once how a learner ended, with its last error, also when that was before it watched", async () => {
    await launcher().launch(runOf("failed"), setsOf("failed"));
    await makePod(api, { runId: "failed", role: "learner" }, owner, { exitCode: 66, message: '{"level":60,"msg":"no such model"}' });
    await finishJob(api, (await jobOf("failed"))!, "Failed");
    const exits = await watched();
    await eventually("the end is told", () => exits.some(({ set }) => set.runId === "failed"));
    expect(exits.filter(({ set }) => set.runId === "failed")).toEqual([
      { set: { runId: "failed", role: "learner", teacher: undefined, replicas: 1 }, code: 66, message: "no such model" },
    ]);
  });

  it("tells of a role whose pods cannot work, as it happens", async () => {
    const exits = await watched();
    await launcher().launch(runOf("hopeless"), setsOf("hopeless"));
    await makePod(api, { runId: "hopeless", role: "student" }, owner, {
      exitCode: 78,
      message: '{"level":60,"msg":"cuda is not available"}',
    });
    await makePod(api, { runId: "hopeless", role: "reward" }, owner, { exitCode: 1, message: "" });
    await eventually("the end is told", () => exits.some(({ set }) => set.runId === "hopeless"));
    expect(exits.filter(({ set }) => set.runId === "hopeless")).toMatchObject([
      { set: { role: "student" }, code: 78, message: "cuda is not available" },
    ]);
  });

  it("says why a pod does not start", async () => {
    await watched();
    await makePod(api, { runId: "waiting", role: "teacher" }, owner, { waiting: "ErrImagePull", message: "not found" });
    await eventually("the delay is told", () => delays.some(({ runId }) => runId === "waiting"));
    expect(delays).toMatchObject([{ runId: "waiting", message: "pod waiting-teacher-0 does not start: ErrImagePull: not found" }]);
  });

  describe("a teacher that runs share", () => {
    const shared = (runId: string, replicas: number, keepWarmMs = 100): RoleSet[] => [
      { runId, role: "learner", replicas: 1 },
      { runId, role: "teacher", teacher: "math", replicas, pool: { key: "abc", keepWarmMs } },
    ];
    const pool = () => cluster.read<V1Deployment>(kinds.deployment, "pool-abc");

    it("has pods that the release owns, as many as one of its runs asks for, until the last one has left", async () => {
      const launches = launcher();
      await launches.launch(runOf("pooled"), shared("pooled", 1));
      await launches.launch(runOf("pooling"), shared("pooling", 2));
      const release = await cluster.read(kinds.configMap, owner);
      const made = await pool();
      expect(made!.metadata!.ownerReferences).toMatchObject([{ kind: "ConfigMap", uid: release!.metadata!.uid }]);
      expect(made!.spec!.replicas).toBe(2);
      expect(made!.spec!.template.spec!.containers[0]!.args).toEqual(["--role=teacher", "--pool=abc"]);
      await launches.stop("pooling");
      await launches.launch(runOf("pooled"), shared("pooled", 1));
      expect((await pool())!.metadata!.uid).toBe(made!.metadata!.uid);
      await launches.stop("pooled");
      await eventually("its pods have gone", async () => (await pool()) === undefined);
    });

    it("whose pods cannot work ends all of its runs", async () => {
      const launches = launcher();
      const exits = await watched(() => {}, launches);
      for (const runId of ["lost", "losing"]) await launches.launch(runOf(runId), shared(runId, 1));
      await makePod(api, { role: "teacher", poolKey: "abc" }, owner, { exitCode: 66, message: '{"level":60,"msg":"no such model"}' });
      const own = () => exits.filter(({ set }) => /^los/.test(set.runId));
      await eventually("both ends are told", () => own().length >= 2);
      expect(own().map(({ set, message }) => [set.runId, set.teacher, message])).toEqual([
        ["lost", "math", "no such model"],
        ["losing", "math", "no such model"],
      ]);
    });

    it("must have a pod before a run with it begins, and is left by a run that is paused", async () => {
      const launches = launcher();
      await launches.launch(runOf("awaiting"), shared("awaiting", 1));
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(await isSuspended("awaiting")).toBe(true);
      await cluster.delete(kinds.pod, "pool-abc-0");
      await makePod(api, { role: "teacher", poolKey: "abc" }, owner, "running");
      await begun("awaiting");
      await launches.pause("awaiting", shared("awaiting", 1));
      await eventually("its pods have gone", async () => (await pool()) === undefined);
    });

    it("goes when a new controller finds no run that uses it", async () => {
      await launcher().launch(runOf("left"), shared("left", 1));
      await launcher().watch({ ended: async () => {}, delayed: async () => {} });
      await eventually("its pods have gone", async () => (await pool()) === undefined);
    });
  });

  it("follows queues by KEDA where it is installed, once the run has begun and unless it is paused", async () => {
    const monitor = { address: "nats:8222", account: "$G", ...defaultScaling };
    await launcher({ monitor }).launch(runOf("fixed"), setsOf("fixed"));
    expect((await studentsOf("fixed"))!.spec!.replicas).toBe(3);
    await installKeda(api);
    await eventually("the kind is served", () => cluster.knows(kinds.scaledObject));
    const launch = () => launcher({ monitor }).launch(runOf("scaled"), setsOf("scaled"));
    await launch();
    // One pod shows that there is a node for the role.
    expect(await replicasOf("scaled")).toBe(1);
    const scaling = () => cluster.read(kinds.scaledObject, "scaled-student");
    expect(await scaling()).toBeUndefined();
    await podsRun("scaled");
    await begun("scaled");
    await eventually("the queue is followed", async () => (await scaling()) !== undefined);
    expect(await scaling()).toMatchObject({ spec: { scaleTargetRef: { name: "scaled-student" }, minReplicaCount: 0, maxReplicaCount: 3 } });
    await launcher({ monitor }).pause("scaled", setsOf("scaled"));
    expect([await scaling(), await replicasOf("scaled")]).toEqual([undefined, 0]);
    await launch();
    expect(await replicasOf("scaled")).toBe(1);
    await eventually("the queue is followed again", async () => (await scaling()) !== undefined);
    const launches = launcher({ monitor });
    const shared = [["sum", 1] as const, ["summand", 4] as const];
    for (const [runId, replicas] of shared)
      await launches.launch(runOf(runId), [
        { runId, role: "learner", replicas: 1 },
        { runId, role: "teacher", teacher: "math", replicas, pool: { key: "def", keepWarmMs: 90_000 } },
      ]);
    // A pool without work has no pod, and nothing waits for one.
    for (const [runId] of shared) await begun(runId);
    const deployment = await cluster.read(kinds.deployment, "pool-def");
    expect(await cluster.read(kinds.scaledObject, "pool-def")).toMatchObject({
      metadata: { ownerReferences: [{ kind: "Deployment", uid: deployment!.metadata!.uid }] },
      spec: {
        maxReplicaCount: 4,
        cooldownPeriod: 90,
        advanced: { scalingModifiers: { formula: "queue_0 + queue_1 + queue_2 + queue_3" } },
      },
    });
  });

  it("says what the API server refuses, and which owner is missing", async () => {
    const bad = launcher({ templates: templatesOf("retort:1", { memory: "lots" }) });
    await expect(bad.launch(runOf("refused"), setsOf("refused"))).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringMatching(/create Job refused-learner.*quantities must match/s),
    });
    await expect(launcher({ owner: "nobody" }).launch(runOf("ownerless"), setsOf("ownerless"))).rejects.toMatchObject({
      code: "PermissionDenied",
      message: expect.stringMatching(/nobody/),
    });
  });
});
