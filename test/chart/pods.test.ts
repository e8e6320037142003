import { hasFetch, parsePodTemplates } from "../../services/controller/kubernetes/pod-template.js";
import { restrictions } from "./support/pod-security.js";
import { describeChart, environmentOf, examples, find, type Manifest, podsOf, render, roleTemplatesText } from "./support/render.js";

const everyPod = ["controller", "learner", "reward", "student", "teacher", "test"];

describeChart("every pod", () => {
  it.each([undefined, ...examples])("is admitted under the restricted Pod Security Standard: %s", async (example) => {
    const pods = podsOf(await render({ example }));
    const names = example === "external-nats-mtls" ? everyPod : [...everyPod, "nats"];
    expect(pods.map(([name]) => name).sort()).toEqual(names.sort());
    expect(pods.map(([name, pod]) => [name, restrictions(pod)])).toEqual(pods.map(([name]) => [name, []]));
  });

  it("writes to volumes only, and asks for memory", async () => {
    for (const [, { spec }] of podsOf(await render())) {
      for (const container of spec.containers) {
        expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
        expect(container.resources).toMatchObject({ requests: { memory: expect.any(String) }, limits: { memory: expect.any(String) } });
      }
    }
  });

  it("has no token of Kubernetes' API, the controller's excepted, and no variables of Services", async () => {
    for (const [name, { spec }] of podsOf(await render())) {
      expect([name, spec.automountServiceAccountToken]).toEqual([name, name === "controller"]);
      expect(spec.serviceAccountName).toBe(name === "controller" ? "retort-controller" : "retort-role");
      expect(spec.enableServiceLinks).toBe(false);
    }
  });
});

describeChart("pods that fetch what specs name elsewhere", () => {
  const set = ["fetch.enabled=true", 'fetch.hub.existingSecret="hub"', 'fetch.s3={"endpoint":"http://minio:9000","existingSecret":"s3"}'];
  const claim = 'fetch.source={"persistentVolumeClaim":{"claimName":"models"}}';
  const namesIn = (container: Manifest) => (container.env as { name: string }[]).map(({ name }) => name);

  it("have a container for it before the role's own, with the secrets in it alone, and the cache read-only beside it", async () => {
    const manifests = await render({ set: [...set, claim] });
    const templates = parsePodTemplates(roleTemplatesText(manifests), "roles.yaml");
    for (const role of ["learner", "reward", "teacher"] as const) {
      const { initContainers: [fetch] = [], containers, volumes } = templates[role].spec;
      expect(hasFetch(templates[role])).toBe(true);
      expect(namesIn(fetch as unknown as Manifest)).toEqual([
        "XDG_CACHE_HOME",
        "HF_TOKEN",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
      ]);
      const own = namesIn(containers[0] as unknown as Manifest);
      expect(own.filter((name) => /^(HF_|AWS_|XDG_)/.test(name))).toEqual([]);
      const mountOf = ({ volumeMounts = [] }: (typeof containers)[0]) => volumeMounts.find(({ name }) => name === "cache");
      expect([mountOf(fetch!)?.readOnly, mountOf(containers[0]!)?.readOnly]).toEqual([undefined, true]);
      expect(volumes?.find(({ name }) => name === "cache")).toMatchObject({ persistentVolumeClaim: { claimName: "models" } });
    }
    expect(hasFetch(templates.student)).toBe(false);
  });

  it("have a controller that looks at models with the same secrets, in a cache of its own", async () => {
    const { spec } = find(await render({ set: [...set, claim] }), "Deployment", "retort").spec.template;
    expect(namesIn(spec.containers[0])).toEqual(expect.arrayContaining(["XDG_CACHE_HOME", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"]));
    expect(spec.volumes.find(({ name }: { name: string }) => name === "cache")).toEqual({ name: "cache", emptyDir: {} });
    const roots = spec.containers[0].env.find(({ name }: { name: string }) => name === "RETORT_ROOTS").value;
    expect(roots.split(",")).toContain("/cache");
  });

  it("ask the server of the weights where these are in S3", async () => {
    const weights = 'weights={"store":"s3","url":"s3://b/w","endpoint":"https://s3:9000","existingSecret":"own"}';
    const templates = parsePodTemplates(roleTemplatesText(await render({ set: ["fetch.enabled=true", weights] })), "roles.yaml");
    const env = templates.teacher.spec.initContainers?.[0]?.env ?? [];
    expect(env.find(({ name }) => name === "AWS_ENDPOINT_URL_S3")?.value).toBe("https://s3:9000");
    expect(env.find(({ name }) => name === "AWS_ACCESS_KEY_ID")?.valueFrom?.secretKeyRef?.name).toBe("own");
  });

  it("aren't there by themselves: a hub is outside", async () => {
    const manifests = await render();
    expect(hasFetch(parsePodTemplates(roleTemplatesText(manifests), "roles.yaml").teacher)).toBe(false);
    expect(manifests.filter(({ metadata }) => metadata.name === "retort-fetch")).toEqual([]);
  });

  it("reach hub and S3 on their ports, the students excepted, and where that is said nothing but them", async () => {
    const from = 'networkPolicies.fetchedFrom=[{"ipBlock":{"cidr":"10.1.0.0/16"}}]';
    const { spec } = find(await render({ set: [...set, from] }), "NetworkPolicy", "retort-fetch");
    expect(spec.egress).toEqual([{ ports: [{ port: 443 }, { port: 9000 }], to: [{ ipBlock: { cidr: "10.1.0.0/16" } }] }]);
    expect(spec.podSelector.matchExpressions[0].values).not.toContain("student");
  });
});

describeChart("several controllers", () => {
  const set = ["controller.replicas=2", `data.accessModes=["ReadWriteMany"]`];

  it("are one, for callers: that which says that it leads", async () => {
    const manifests = await render({ set });
    const { spec } = find(manifests, "Deployment", "retort");
    expect([spec.replicas, spec.strategy.type]).toEqual([2, "RollingUpdate"]);
    expect(spec.template.spec.containers[0].args).toContain("--leader-label=retort/leader");
    expect(find(manifests, "Service", "retort").spec.selector).toMatchObject({ "retort/leader": "true" });
    const alone = await render();
    expect(find(alone, "Service", "retort").spec.selector).not.toHaveProperty("retort/leader");
    expect(find(alone, "Deployment", "retort").spec.strategy.type).toBe("Recreate");
  });

  it("need a volume that all of them mount", async () => {
    await expect(render({ set: set.slice(0, 1) })).rejects.toThrow(/controller\.replicas is 2.*ReadWriteMany/s);
    await expect(render({ set: [...set.slice(0, 1), 'data.existingClaim="mine"'] })).resolves.toBeDefined();
  });
});

describe("restrictions()", () => {
  const secure = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
  const pod = (spec: object, container: object = {}) =>
    ({
      metadata: { name: "p" },
      spec: {
        securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
        containers: [{ name: "c", securityContext: { ...secure, ...container } }],
        ...spec,
      },
    }) as unknown as Manifest;

  it("finds nothing wrong with a secure pod", () => {
    expect(restrictions(pod({}))).toEqual([]);
  });

  it.each<[string, Manifest, string]>([
    ["the node's network", pod({ hostNetwork: true }), "hostNetwork"],
    ["a directory of the node", pod({ volumes: [{ name: "v", hostPath: { path: "/" } }] }), "volume v: hostPath"],
    ["a pod without a seccomp profile", pod({ securityContext: { runAsNonRoot: true } }), "c: seccompProfile"],
    ["a pod that may be root", pod({ securityContext: { seccompProfile: { type: "RuntimeDefault" } } }), "c: runAsNonRoot"],
    ["root", pod({}, { runAsUser: 0 }), "c: runAsUser"],
    ["escalation", pod({}, { allowPrivilegeEscalation: undefined }), "c: allowPrivilegeEscalation"],
    ["kept capabilities", pod({}, { capabilities: {} }), "c: capabilities.drop"],
    ["added capabilities", pod({}, { capabilities: { drop: ["ALL"], add: ["SYS_ADMIN"] } }), "c: capabilities.add"],
  ])("finds %s", (_, manifest, problem) => {
    expect(restrictions(manifest)).toContain(problem);
  });
});

describeChart("a role's pod", () => {
  const podOf = async (role: string, options: Parameters<typeof render>[0]): Promise<Manifest> =>
    podsOf(await render(options)).find(([name]) => name === role)![1];

  it("with GPUs has them, the CUDA image, a toleration and shared memory", async () => {
    const { spec } = await podOf("teacher", { example: "multi-gpu-keda" });
    const [container] = spec.containers;
    expect(container.image).toBe("registry.example.com/retort:0.1.0-cuda");
    expect(container.resources.limits).toEqual({ memory: "192Gi", "nvidia.com/gpu": 1 });
    expect(spec.tolerations).toEqual([{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }]);
    expect(spec).toMatchObject({ runtimeClassName: "nvidia", nodeSelector: { "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3" } });
    expect(spec.volumes).toContainEqual({ name: "shm", emptyDir: { medium: "Memory", sizeLimit: "1Gi" } });
    expect(container.volumeMounts).toContainEqual({ name: "shm", mountPath: "/dev/shm" });
  });

  it("with a slice of a GPU has it by its name, and goes to nodes that are tainted as whole GPUs are", async () => {
    const { spec } = await podOf("learner", { example: "shared-gpu" });
    expect(spec.containers[0].resources.limits).toEqual({ memory: "64Gi", "nvidia.com/mig-3g.40gb": 1 });
    const tolerated = ["nvidia.com/gpu", "nvidia.com/mig-3g.40gb"];
    expect(spec.tolerations).toEqual(tolerated.map((key) => ({ key, operator: "Exists", effect: "NoSchedule" })));
  });

  it("with a GPU that is shared by MPS may leave /dev/shm to the device plugin", async () => {
    const { spec } = await podOf("student", {
      set: ["roles.student.gpus=1", 'roles.student.gpuResource="nvidia.com/gpu.shared"', 'roles.student.shmSize=""'],
    });
    expect(spec.containers[0].resources.limits).toMatchObject({ "nvidia.com/gpu.shared": 1 });
    expect(JSON.stringify(spec)).not.toContain("shm");
  });

  it("without GPUs has none of that", async () => {
    const { spec } = await podOf("reward", { example: "multi-gpu-keda" });
    expect(spec.containers[0].image).toBe("registry.example.com/retort:0.1.0");
    expect(spec.tolerations).toBeUndefined();
    expect(JSON.stringify(spec)).not.toMatch(/shm|nvidia\.com\/gpu/);
  });

  it("may take as long to start as its values say, longer with a GPU, and is asked at the health port", async () => {
    const [container] = (await podOf("teacher", { example: "multi-gpu-keda" })).spec.containers;
    const secondsOf = ({ startupProbe }: Manifest) => startupProbe.periodSeconds * startupProbe.failureThreshold;
    expect(secondsOf(container)).toBe(3600 + 300);
    expect(secondsOf((await podOf("reward", { example: "multi-gpu-keda" })).spec.containers[0])).toBe(300);
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) expect(container[probe].grpc).toEqual({ port: 7071 });
    expect(container.ports).toContainEqual({ name: "health", containerPort: 7071 });
  });

  it("has what its values add: volumes, mounts, variables, containers before and beside it, a scheduler", async () => {
    const container = (name: string) => ({ name, image: "busybox:1.37" });
    const role = {
      extraVolumes: [{ name: "scratch", emptyDir: {} }],
      extraVolumeMounts: [{ name: "scratch", mountPath: "/scratch" }],
      envFrom: [{ secretRef: { name: "tokens" } }],
      initContainers: [container("fetch")],
      sidecars: [container("proxy")],
      schedulerName: "gang",
    };
    const { spec } = await podOf("learner", { set: [`roles.learner=${JSON.stringify(role)}`] });
    expect(spec).toMatchObject({ initContainers: role.initContainers, schedulerName: "gang" });
    expect(spec.containers.map(({ name }: { name: string }) => name)).toEqual(["retort", "proxy"]);
    expect(spec.volumes).toContainEqual(role.extraVolumes[0]);
    expect(spec.containers[0].volumeMounts).toContainEqual(role.extraVolumeMounts[0]);
    expect(spec.containers[0].envFrom).toEqual(role.envFrom);
    expect((await podOf("student", {})).spec).not.toHaveProperty("initContainers");
  });

  it("and every object have the labels that the values add", async () => {
    const manifests = await render({ set: ['commonLabels={"team":"research"}', "metrics.serviceMonitor.enabled=true"] });
    expect(manifests.filter(({ metadata }) => metadata.labels?.team !== "research").map(({ metadata }) => metadata.name)).toEqual([]);
    for (const [name, { metadata }] of podsOf(manifests)) expect([name, metadata.labels?.team]).toEqual([name, "research"]);
  });

  it("has longer to stop than its process takes", async () => {
    for (const role of ["learner", "reward", "student", "teacher"]) {
      const pod = await podOf(role, {});
      expect(Number(environmentOf(pod).RETORT_GRACE_MS)).toBeLessThan(pod.spec.terminationGracePeriodSeconds * 1000);
    }
  });

  it("mounts models read-only, and the data volume where the values say", async () => {
    const manifests = await render({ example: "multi-gpu-keda" });
    for (const [name, { spec }] of podsOf(manifests).filter(([pod]) => !["nats", "test"].includes(pod))) {
      const mounts = Object.fromEntries(spec.containers[0].volumeMounts.map((mount: { name: string }) => [mount.name, mount]));
      expect(mounts.models).toEqual({ name: "models", mountPath: "/models", readOnly: true });
      expect(mounts.data).toEqual({ name: "data", mountPath: "/data" });
      const shared = { persistentVolumeClaim: { claimName: "retort-data" } };
      expect(spec.volumes).toContainEqual({ name: "data", ...(["controller", "learner"].includes(name) ? shared : { emptyDir: {} }) });
    }
    expect(find(manifests, "PersistentVolumeClaim", "retort-data").spec.accessModes).toEqual(["ReadWriteMany"]);
  });
});

describeChart("the controller's pod", () => {
  it("starts anew when the pod templates change", async () => {
    const checksum = async (set: string[]) =>
      find(await render({ set }), "Deployment", "retort").spec.template.metadata.annotations["checksum/roles"];
    expect(await checksum(["roles.student.gpus=1"])).not.toBe(await checksum([]));
    expect(await checksum(["controller.service.port=7071"])).toBe(await checksum([]));
  });

  it("tells KEDA's way to NATS only when scaling is wanted", async () => {
    const args = async (set: string[]) =>
      find(await render({ set }), "Deployment", "retort").spec.template.spec.containers[0].args.join(" ");
    expect(await args([])).toContain("--nats-monitor=retort-nats.distill.svc:8222");
    expect(await args(["autoscaling.enabled=false"])).not.toContain("nats-monitor");
  });
});

describeChart("a profile", () => {
  const set = [
    'profiles={"h100":{"gpus":1,"nodeSelector":{"gpu":"h100"},"priorityClassName":"training","podLabels":{"queue":"h100"},"settings":{"threads":2}},"small":{"resources":{"limits":{"memory":"1Gi"}},"imageVariant":"cuda"}}',
    'roles.teacher={"resources":{"limits":{"memory":"9Gi"}},"startupSeconds":900}',
  ];

  it("makes a template for each role, of the profile's values over the role's", async () => {
    const pods = new Map(podsOf(await render({ set })));
    expect([...pods.keys()].filter((name) => name.includes(" "))).toHaveLength(8);
    const { metadata, spec } = pods.get("h100 teacher")!;
    expect(metadata.labels).toMatchObject({ queue: "h100", "app.kubernetes.io/component": "teacher" });
    expect(spec).toMatchObject({ nodeSelector: { gpu: "h100" }, priorityClassName: "training" });
    expect(spec.tolerations).toEqual([{ key: "nvidia.com/gpu", operator: "Exists", effect: "NoSchedule" }]);
    const [container] = spec.containers;
    expect(container.image).toMatch(/-cuda$/);
    expect(container.resources.limits).toEqual({ memory: "9Gi", "nvidia.com/gpu": 1 });
    // A GPU has 300 seconds more.
    expect(container.startupProbe.failureThreshold).toBe((900 + 300) / 5);
    expect(environmentOf(pods.get("h100 teacher")!)).toMatchObject({ RETORT_DEVICE: "cuda", RETORT_THREADS: "2" });
    expect(pods.get("small learner")!.spec.containers[0]).toMatchObject({
      image: expect.stringMatching(/-cuda$/),
      resources: { limits: { memory: "1Gi" } },
    });
  });

  it("changes nothing of the roles without it, and is read by the controller", async () => {
    const [plain, more] = [await render({ set: set.slice(1) }), await render({ set })];
    const [before, after] = [new Map(podsOf(plain)), new Map(podsOf(more))];
    for (const role of ["learner", "reward", "student", "teacher"]) expect(after.get(role)).toEqual(before.get(role));
    const { profiles } = parsePodTemplates(roleTemplatesText(more), "roles.yaml");
    expect(Object.keys(profiles!)).toEqual(["h100", "small"]);
    expect([...after].map(([name, pod]) => [name, restrictions(pod)])).toEqual([...after].map(([name]) => [name, []]));
  });
});
