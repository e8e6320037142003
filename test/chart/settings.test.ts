import { controllerSettings } from "../../services/controller/config.js";
import { learnerSettings } from "../../services/learner/config.js";
import { rewardSettings } from "../../services/reward/config.js";
import { readSettings } from "../../services/shared/base/settings.js";
import { studentSettings } from "../../services/student/config.js";
import { teacherSettings } from "../../services/teacher/config.js";
import { describeChart, environmentOf, type Manifest, podsOf, type RenderOptions, render } from "./support/render.js";

const schemas = {
  controller: controllerSettings,
  learner: learnerSettings,
  reward: rewardSettings,
  student: studentSettings,
  teacher: teacherSettings,
};

/** What each process makes of its pod's arguments and environment, read as the process reads them. */
async function settingsOf(options: RenderOptions) {
  const pods = Object.fromEntries(podsOf(await render(options)));
  const read = (role: keyof typeof schemas): Record<string, unknown> => {
    const { args = [] } = (pods[role] as Manifest).spec.containers[0];
    const flags = (args as string[]).filter((flag) => !flag.startsWith("--role="));
    return readSettings(schemas[role], flags, environmentOf(pods[role]!));
  };
  return read;
}

describeChart("the settings of a pod's process", () => {
  it("are those of the chart", async () => {
    const read = await settingsOf({});
    for (const role of Object.keys(schemas) as (keyof typeof schemas)[]) {
      expect(read(role)).toMatchObject({
        nats: "nats://retort-nats.distill.svc:4222",
        host: "0.0.0.0",
        port: 7070,
        healthPort: 7071,
        metricsPort: 7072,
        dataDir: "/data",
        weightStore: "nats",
        roots: "/models,/data,/app/deploy/examples",
        outputRoots: "/data",
      });
    }
    expect(read("learner")).toMatchObject({ device: "cpu", graceMs: 295_000 });
  });

  it("name the file of tenants, which the controller alone has", async () => {
    const set = ['tenants.existingSecret="those"', 'token.existingSecret="callers"'];
    const read = await settingsOf({ set });
    expect(read("controller").tenants).toBe("/etc/retort/tenants/tenants.yaml");
    const mounting = podsOf(await render({ set })).filter(([, pod]) => JSON.stringify(pod).includes('"secretName":"those"'));
    expect(mounting.map(([name]) => name)).toEqual(["controller"]);
    const { volumeMounts } = mounting[0]![1].spec.containers[0];
    expect(volumeMounts).toContainEqual({ name: "tenants", mountPath: "/etc/retort/tenants", readOnly: true });
  });

  it("are those of the values, a role's over everybody's", async () => {
    const read = await settingsOf({
      set: [
        'settings={"logLevel":"warn","maxMessageBytes":134217728}',
        'roleDefaults.settings={"threads":4}',
        'roles.student={"settings":{"logLevel":"debug","chunkTokens":16}}',
        'roles.teacher={"settings":{"batchTokens":65536}}',
        "controller.settings.maxRestarts=7",
      ],
    });
    expect(read("student")).toMatchObject({ logLevel: "debug", chunkTokens: 16, threads: 4, maxMessageBytes: 134_217_728 });
    expect(read("teacher")).toMatchObject({ logLevel: "warn", batchTokens: 65_536, threads: 4 });
    expect(read("controller")).toMatchObject({ logLevel: "warn", maxRestarts: 7 });
  });

  it("permit further directories, and give lesser tokens where the Secret has them", async () => {
    const set = ['roots=["/mnt/shared"]', 'token={"existingSecret":"retort-token","runKey":"run","readKey":"look"}'];
    const read = await settingsOf({ set });
    expect(read("controller")).toMatchObject({
      roots: "/models,/data,/app/deploy/examples,/mnt/shared",
      token: "retort-token/token",
      runToken: "retort-token/run",
      readToken: "retort-token/look",
    });
  });

  it("name the mounted files of an external NATS, of TLS and of tokens", async () => {
    const read = await settingsOf({ example: "external-nats-mtls" });
    for (const role of ["controller", "student"] as const) {
      expect(read(role)).toMatchObject({
        nats: "tls://nats-0.nats.messaging.svc:4222,tls://nats-1.nats.messaging.svc:4222",
        natsCredentials: "/etc/retort/nats/nats.creds",
        natsTlsCa: "/etc/retort/nats-tls/ca.crt",
        natsTlsCert: "/etc/retort/nats-tls/tls.crt",
        natsTlsKey: "/etc/retort/nats-tls/tls.key",
        tlsCert: "/etc/retort/tls/tls.crt",
        tlsKey: "/etc/retort/tls/tls.key",
        tlsCa: "/etc/retort/tls/ca.crt",
        token: "retort-token/token",
        weightStore: "s3",
        weightUrl: "s3://retort/weights",
        s3Endpoint: "https://s3.storage.svc:9000",
      });
    }
  });

  it("say how pods follow their queues", async () => {
    const set = ['autoscaling={"pollingSeconds":2,"cooldownSeconds":600,"tasksPerPod":8}'];
    const read = await settingsOf({ set });
    expect(read("controller")).toMatchObject({ scalePollingSeconds: 2, scaleCooldownSeconds: 600, scaleTasksPerPod: 8 });
  });

  it("use the GPU that the pod has, and send traces", async () => {
    const read = await settingsOf({ example: "multi-gpu-keda" });
    expect(read("student")).toMatchObject({ device: "cuda", traceEndpoint: "http://otel-collector.observability.svc:4318" });
    expect(read("reward")).toMatchObject({ device: "cpu" });
  });
});
