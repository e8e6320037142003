/**
 * Writes deploy/helm/retort/values.schema.json: what the chart's values may hold. The `settings` of the controller and of
 * each role are those of services/<role>/config.ts; the rest is described here. Beside it goes files/nats-permissions.json:
 * what each role may do in NATS (services/shared/flow/nats-permissions.ts), and dashboards/ for Grafana (dashboards.ts).
 *
 *     node dist/deploy/values-schema.js           writes it
 *     node dist/deploy/values-schema.js --check   fails if it is not what would be written
 */
import { resolve } from "node:path";
import { z } from "zod";
import { controllerSettings } from "../services/controller/config.js";
import { learnerSettings } from "../services/learner/config.js";
import { rewardSettings } from "../services/reward/config.js";
import { found } from "../services/shared/base/found.js";
import { modelSettings, processSettings } from "../services/shared/base/settings.js";
import { natsPermissions } from "../services/shared/flow/nats-permissions.js";
import { devices } from "../services/shared/ml/runtime/device.js";
import { refusal } from "../services/shared/ml/runtime/refused-devices.js";
import { studentSettings } from "../services/student/config.js";
import { teacherSettings } from "../services/teacher/config.js";
import { dashboards } from "./dashboards.js";
import { keepGenerated } from "./generated.js";

/** Settings that the chart or the launcher decides, by way of other values: never in `settings`. */
const decided = new Set([
  ...[
    "dataDir",
    "exitWithParent",
    "graceMs",
    "healthPort",
    "host",
    "metricsPort",
    "oneMachine",
    "httpPort",
    "port",
    "s3Endpoint",
    "traceEndpoint",
    "weightStore",
    "weightUrl",
  ],
  ...["nats", "natsCredentials", "natsLogins", "natsReplicas", "natsTlsCa", "natsTlsCert", "natsTlsKey"],
  ...["environmentToken", "rewardToken", "tlsCa", "tlsCert", "tlsKey", "token", "runToken", "readToken", "roots", "outputRoots"],
  ...["launcher", "tenants", "leaderLabel", "namespace", "natsAccount", "natsMonitor", "owner", "podTemplate"],
  ...["scalePollingSeconds", "scaleCooldownSeconds", "scaleTasksPerPod"],
  ...["checkOnly", "describeOnly", "index", "model", "pool", "run", "teacher"],
]);

/** The devices that are not refused on every machine. */
const usable = z.enum(devices.filter((device) => refusal(device) === undefined)).default("cpu");

/** The settings of a schema that values may give, each optional: what is left out takes the program's default. */
function settingsOf(schema: z.ZodObject, description: string) {
  const free = Object.entries(schema.shape).filter(([name]) => !decided.has(name));
  for (const [name, field] of free)
    if (field.meta()?.variable) throw new Error(`the chart does not know the environment variable of the setting ${name}`);
  const values = free.map(([name, field]) => [name, name === "device" ? usable.describe(described(field)) : field]);
  return z.strictObject(Object.fromEntries(values)).partial().describe(description);
}

/** What a setting is, in the words of the program. */
const described = (setting: z.ZodType): string => found(setting.description ?? setting.meta()?.description, "the description of a setting");

const structure = (description: string) => z.record(z.string(), z.unknown()).describe(description);
const list = (description: string) => z.array(z.unknown()).describe(description);
const minutes = (description: string) => z.number().gt(0).describe(`${description}, in minutes`);
const count = (description: string) => z.int().min(0).describe(description);
/** With a unit: without one Kubernetes takes it for bytes. */
const quantity = (description: string) =>
  z
    .string()
    .regex(/^(\d+(\.\d+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P))?$/)
    .describe(`${description}, with its unit, as 10Gi`);
const volumeSource = z
  .record(z.string(), z.record(z.string(), z.unknown()))
  .describe("a volume source (core/v1), as persistentVolumeClaim: { claimName: models }, csi: { … } or image: { … }");
const texts = (description: string) => z.record(z.string(), z.string()).describe(description);
const pullPolicy = z.enum(["Always", "IfNotPresent", "Never"]);
const resources = z.strictObject({ requests: structure("least"), limits: structure("most") }).partial();

const placement = {
  nodeSelector: texts("labels of the nodes that may be used"),
  tolerations: list("tolerations (core/v1)"),
  affinity: structure("affinity (core/v1)"),
  priorityClassName: z.string(),
};

const roleValues = (settings: z.ZodObject, description: string) =>
  z
    .strictObject({
      gpus: count(
        "GPUs per pod, 0 or 1: a process computes on one. With it the CUDA image, a toleration of its taint, /dev/shm in memory",
      ).max(1),
      gpuResource: z.string().describe("name of the GPU resource: nvidia.com/gpu, nvidia.com/mig-3g.40gb, nvidia.com/gpu.shared"),
      imageVariant: z.enum(["", "cpu", "cuda"]).describe("which image: cpu or cuda; empty: cuda with a GPU"),
      gpuStartupSeconds: count("how much longer a start may take with a GPU"),
      shmSize: quantity("size of /dev/shm with a GPU; empty leaves it to the device plugin").or(z.literal("")),
      resources: resources.describe("requests and limits of a pod, GPUs excepted"),
      settings,
      ...placement,
      topologySpreadConstraints: list("spread over nodes or zones (core/v1)"),
      runtimeClassName: z.string().describe("runtime class, as nvidia"),
      podLabels: texts("further labels of the pods"),
      podAnnotations: texts("annotations of the pods"),
      env: z.array(z.looseObject({ name: z.string() })).describe("further environment variables (core/v1)"),
      envFrom: z.array(z.looseObject({})).describe("ConfigMaps and Secrets whose keys become environment variables (core/v1)"),
      extraVolumes: z.array(z.looseObject({ name: z.string() })).describe("further volumes (core/v1)"),
      extraVolumeMounts: z
        .array(z.looseObject({ name: z.string(), mountPath: z.string() }))
        .describe("where the container has them (core/v1)"),
      initContainers: z.array(z.looseObject({ name: z.string() })).describe("what runs before it, such as a fetch of models (core/v1)"),
      sidecars: z.array(z.looseObject({ name: z.string() })).describe("containers beside it (core/v1)"),
      schedulerName: z.string().describe("scheduler of the pods; empty: the cluster's"),
      startupSeconds: count("how long a start, loading the model, may take"),
      terminationGracePeriodSeconds: z.int().min(10).describe("how long a stop may take"),
    })
    .partial()
    .describe(description);

const image = {
  repository: z.string().min(1),
  tag: z.string(),
  pullPolicy,
};

const values = z
  .strictObject({
    image: z
      .strictObject({ ...image, cudaTag: z.string().describe("default: the tag with -cuda"), pullSecrets: z.array(z.string()) })
      .partial(),
    commonLabels: texts("further labels of every object and pod"),
    settings: settingsOf(processSettings, "settings of every process"),
    controller: z
      .strictObject({
        settings: settingsOf(controllerSettings, "settings of the controller"),
        replicas: z.int().min(1).max(5).describe("how many; one leads, the others wait to take its place"),
        resources,
        ...placement,
        service: z
          .strictObject({
            type: z.enum(["ClusterIP", "LoadBalancer", "NodePort"]),
            port: z.int().min(1).max(65535),
            pagePort: z.int().min(1).max(65535).describe("of the live page, and of calls in JSON"),
            annotations: texts("annotations of the Service"),
          })
          .partial(),
        podDisruptionBudget: z.union([
          z.strictObject({ maxUnavailable: z.union([z.int().min(0), z.string()]) }),
          z.strictObject({ minAvailable: z.union([z.int().min(0), z.string()]) }),
        ]),
      })
      .partial()
      .describe("what is always on"),
    roleDefaults: roleValues(settingsOf(modelSettings, "settings of every role"), "what every role begins with"),
    roles: z
      .strictObject({
        learner: roleValues(settingsOf(learnerSettings, "settings of a learner"), "trains; one pod per run"),
        reward: roleValues(settingsOf(rewardSettings, "settings of a reward"), "judges completions"),
        student: roleValues(settingsOf(studentSettings, "settings of a student"), "writes completions"),
        teacher: roleValues(settingsOf(teacherSettings, "settings of a teacher"), "scores completions"),
      })
      .partial()
      .describe("the pods of a run"),
    profiles: z
      .record(
        z
          .string()
          .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/)
          .max(63),
        roleValues(settingsOf(modelSettings, "settings of the roles that have it"), "values that go over a role's own"),
      )
      .describe("pods that specs may choose for a role, by name"),
    data: z
      .strictObject({
        existingClaim: z.string().describe("a PersistentVolumeClaim to use instead of an own one"),
        size: quantity("size of the volume"),
        storageClassName: z.string(),
        accessModes: z.array(z.enum(["ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"])).min(1),
        keep: z.boolean().describe("leave the volume at an uninstall"),
        roles: z.array(z.enum(["learner", "reward", "student", "teacher"])).describe("roles that mount it; the controller always does"),
      })
      .partial()
      .describe("runs, checkpoints and trained students"),
    models: z
      .strictObject({
        mountPath: z.string().regex(/^\//),
        source: volumeSource,
      })
      .partial()
      .describe("models and datasets that specs name"),
    fetch: z
      .strictObject({
        enabled: z.boolean().describe("have pods fetch what specs name elsewhere (hf://, s3://)"),
        mountPath: z.string().regex(/^\//).describe("where the pods have the cache"),
        source: volumeSource,
        hub: z
          .strictObject({
            endpoint: z
              .string()
              .regex(/^(https?:\/\/.+)?$/)
              .describe("URL of a hub other than Hugging Face's"),
            existingSecret: z.string().describe("Secret with a token for it"),
            key: z.string().describe("of the token in the Secret"),
          })
          .partial(),
        s3: z
          .strictObject({
            endpoint: z
              .string()
              .regex(/^(https?:\/\/.+)?$/)
              .describe("URL of a server other than Amazon's"),
            region: z.string().describe("region of the buckets"),
            existingSecret: z.string().describe("Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
          })
          .partial(),
        resources: resources.describe("of the container that fetches"),
      })
      .partial()
      .describe("models and data that specs name elsewhere"),
    weights: z
      .strictObject({
        store: processSettings.shape.weightStore.unwrap(),
        url: z
          .string()
          .regex(/^(s3:\/\/.+)?$/)
          .describe(described(processSettings.shape.weightUrl)),
        endpoint: z.string().describe(described(processSettings.shape.s3Endpoint)),
        region: z.string().describe("region of the bucket"),
        existingSecret: z.string().describe("Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
      })
      .partial()
      .describe("where students find new weights"),
    nats: z
      .strictObject({
        enabled: z.boolean().describe("a nats-server of this release"),
        url: z
          .string()
          .regex(/^((nats|tls):\/\/[^,]+(,(nats|tls):\/\/[^,]+)*)?$/)
          .describe("NATS servers of your own, separated by commas"),
        monitor: z.string().describe("host:port of NATS monitoring, for KEDA"),
        replicas: z.int().min(0).max(5).describe("servers of your NATS cluster that keep each stream and bucket; 0: as they are"),
        account: z.string().describe(described(controllerSettings.shape.natsAccount)),
        logins: z.strictObject({ existingSecret: z.string().describe("Secret with a password under each role's name") }).partial(),
        credentials: z.strictObject({ existingSecret: z.string(), key: z.string() }).partial(),
        tls: z.strictObject({ existingSecret: z.string(), clientCertificate: z.boolean() }).partial(),
        image: z.strictObject(image).partial(),
        resources,
        storage: z
          .strictObject({
            size: quantity("size of the volume"),
            maxFileStore: quantity("most that JetStream stores"),
            storageClassName: z.string(),
            keep: z.boolean(),
          })
          .partial(),
        ...placement,
      })
      .partial(),
    tls: z
      .strictObject({
        existingSecret: z.string().describe("Secret with tls.crt, tls.key and ca.crt"),
        clientAuth: z.boolean().describe("callers must show a certificate of ca.crt"),
      })
      .partial(),
    token: z
      .strictObject({
        existingSecret: z.string().describe("Secret with the bearer tokens of callers"),
        key: z.string().describe("of the one that permits everything"),
        runKey: z.string().describe("of the one for runs and the use of models; empty: none"),
        readKey: z.string().describe("of the one for looking; empty: none"),
      })
      .partial(),
    tenants: z
      .strictObject({
        existingSecret: z.string().describe("Secret with those who share the installation: each one's token, scope and quota"),
        key: z.string().describe("of the YAML file in it"),
      })
      .partial(),
    roots: z.array(z.string().regex(/^\/[^,]*$/)).describe("further directories that specs may name"),
    autoscaling: z
      .strictObject({
        enabled: z.boolean().describe("let KEDA, if it is there, scale a run's pods by their queue"),
        pollingSeconds: z.int().min(1).describe(described(controllerSettings.shape.scalePollingSeconds)),
        cooldownSeconds: count(described(controllerSettings.shape.scaleCooldownSeconds)),
        tasksPerPod: z.int().min(1).describe(described(controllerSettings.shape.scaleTasksPerPod)),
      })
      .partial(),
    tracing: z.strictObject({ endpoint: z.string().describe(described(processSettings.shape.traceEndpoint)) }).partial(),
    metrics: z
      .strictObject({
        serviceMonitor: z
          .strictObject({
            enabled: z.boolean().describe("make one; the cluster must have the kind (the Prometheus operator's)"),
            intervalSeconds: z.int().min(1),
            labels: texts("labels that your Prometheus selects by"),
          })
          .partial(),
        rules: z
          .strictObject({
            enabled: z.boolean().describe("make a PrometheusRule; the cluster must have the kind (the Prometheus operator's)"),
            labels: texts("labels that your Prometheus selects by"),
            severities: texts("severity of an alert by its name, instead of the chart's"),
            stalledMinutes: minutes("how long a learner may wait for one role"),
            unattendedMinutes: minutes("how long messages may lie in a queue that nobody takes any from"),
            growingMinutes: minutes("how long a queue may grow"),
            stalenessMinutes: minutes("how long all samples may be as old as the run permits"),
            checkpointMinutes: minutes("how old the newest checkpoint of a running run may be"),
            failedPercent: z.number().min(0).max(100).describe("share of samples that may fail"),
            diskFreePercent: z.number().min(0).max(100).describe("share of the data volume that must be free"),
            streamPercent: z.number().min(0).max(100).describe("share of its bytes that a stream may hold"),
          })
          .partial(),
        dashboards: z
          .strictObject({
            enabled: z.boolean().describe("make a ConfigMap with Grafana's dashboards"),
            labels: texts("labels that Grafana's sidecar selects by"),
            annotations: texts("annotations, such as the folder that the sidecar puts them in"),
          })
          .partial(),
      })
      .partial(),
    networkPolicies: z
      .strictObject({
        enabled: z.boolean(),
        callers: list("NetworkPolicyPeers that may call the controller; empty: all"),
        scrapers: list("NetworkPolicyPeers that may read metrics; empty: all"),
        studentEgress: list("NetworkPolicyEgressRules of the student role, for environments that other servers are"),
        rewardEgress: list("NetworkPolicyEgressRules of the reward role, for rewards that other servers evaluate"),
        teacherEgress: list("NetworkPolicyEgressRules of teachers and controller, for teachers whose models other servers run"),
        fetchedFrom: list("NetworkPolicyPeers that models and data may be fetched from; empty: all"),
        apiServerPorts: z.array(z.int()).min(1),
        natsMonitors: list("NetworkPolicyPeers that may read NATS monitoring; empty: all"),
      })
      .partial(),
    podSecurityContext: structure("securityContext of every pod (core/v1)"),
    serviceAccount: z.strictObject({ annotations: texts("annotations of the ServiceAccounts") }).partial(),
    runs: z
      .record(
        z
          .string()
          .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
          .max(40),
        structure("a run spec (RunSpec of run_spec.proto), its name excepted"),
      )
      .describe("runs to start once, by their names"),
    test: z.strictObject({ spec: z.string().describe("run spec that `helm test` starts, by its path in the image") }).partial(),
    global: structure("values that a parent chart shares with all of its parts"),
  })
  .partial()
  .describe("Values of the retort chart. Generated by `npm run gen`: do not edit.");

const schema = z.toJSONSchema(values, {
  io: "input",
  target: "draft-7",
  override: ({ jsonSchema, path }) => {
    // A pod has no terminal; the machine that generates this may have one.
    if (path.at(-1) === "logFormat") jsonSchema.default = "json";
  },
});

const written = {
  "values.schema.json": schema,
  "files/nats-permissions.json": natsPermissions,
  ...Object.fromEntries(Object.entries(dashboards).map(([name, content]) => [`dashboards/${name}.json`, content])),
};
for (const [name, content] of Object.entries(written)) {
  const file = resolve("deploy/helm/retort", name);
  keepGenerated(file, `${JSON.stringify(content, null, 2)}\n`, "the settings");
}
