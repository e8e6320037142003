import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { describeChart, examples, lint, renderText } from "./support/render.js";

describeChart("the chart's values", () => {
  it.each([undefined, ...examples])("pass helm's lint: %s", async (example) => {
    expect(await lint({ example })).toContain("0 chart(s) failed");
  });

  it.each([
    ["a value that does not exist", "imagee.tag=1", /additional properties 'imagee' not allowed/],
    ["a role that does not exist", "roles.pupil.gpus=1", /\/roles[\s\S]*additional properties 'pupil' not allowed/],
    ["a misspelt setting of a role", "roles.student.settings.maxRow=8", /\/roles\/student\/settings[\s\S]*'maxRow' not allowed/],
    ["a setting of another role", "roles.student.settings.batchTokens=8", /'batchTokens' not allowed/],
    ["a setting that the chart decides", 'controller.settings.host="127.0.0.1"', /'host' not allowed/],
    ["a setting out of bounds", "roles.student.settings.maxRows=0", /\/roles\/student\/settings\/maxRows[\s\S]*minimum/],
    ["more GPUs than a process computes on", "roles.student.gpus=2", /\/roles\/student\/gpus[\s\S]*maximum/],
    ["a device that Retort refuses", 'roles.student.settings.device="webgpu"', /\/settings\/device[\s\S]*'cpu', 'cuda'/],
    ["a profile with a misspelt value", 'profiles.h100={"gpu":1}', /\/profiles\/h100[\s\S]*'gpu' not allowed/],
    ["a profile whose name isn't one", 'profiles={"H 100":{}}', /invalid propertyName 'H 100'/],
    ["a word that is no choice", 'weights.store="disk"', /\/weights\/store[\s\S]*'directory', 'nats'/],
    ["a size without its unit", 'data.size="20"', /\/data\/size[\s\S]*does not match/],
    ["a size that is a number", "nats.storage.size=20", /\/nats\/storage\/size[\s\S]*got number, want string/],
    ["a volume source that is a text", 'models.source={"hostPath":"/data"}', /\/models\/source\/hostPath[\s\S]*got string, want object/],
    ["a cache that is a text", 'fetch.source={"hostPath":"/data"}', /\/fetch\/source\/hostPath[\s\S]*got string, want object/],
    ["a hub that is no URL", 'fetch.hub.endpoint="hub:8080"', /\/fetch\/hub\/endpoint[\s\S]*does not match/],
    ["a NATS URL that is none", 'nats.url="nats.messaging:4222"', /\/nats\/url[\s\S]*does not match/],
  ])("refuse %s", async (_, value, message) => {
    await expect(renderText({ set: [value] })).rejects.toThrow(message);
  });

  const token = ['token.existingSecret="callers"'];
  const tls = ['tls.existingSecret="tls"'];
  const open = ['controller.service.type="LoadBalancer"'];
  it.each<[string, readonly string[], RegExp]>([
    ["a controller that anyone may call", [...open, ...tls], /service\.type LoadBalancer lets anyone .* name a Secret with a token/],
    [
      "tokens in plain text",
      ['controller.service.type="NodePort"', ...token],
      /service\.type NodePort without TLS shows its callers' tokens/,
    ],
    [
      "a store that is too small for the streams",
      ['nats.storage.size="100Mi"'],
      /nats\.storage\.size is 100Mi, and the streams .* need 512Mi/,
    ],
    ["a promise that is too small for them", ['nats.storage.maxFileStore="0.4G"'], /nats\.storage\.maxFileStore is 0\.4G/],
    [
      "a GPU limit beside gpus",
      ['roles.teacher.resources={"limits":{"nvidia.com/gpu":1}}'],
      /roles\.teacher\.resources\.limits names nvidia\.com\/gpu: say gpus/,
    ],
    [
      "a slice of a GPU beside gpus",
      ['roleDefaults.resources={"requests":{"nvidia.com/mig-1g.10gb":1}}'],
      /resources\.requests names nvidia\.com\/mig-1g\.10gb: say gpus \(and gpuResource\)/,
    ],
    [
      "a GPU limit beside gpus in a profile",
      ['profiles.h100={"resources":{"limits":{"nvidia.com/gpu":1}}}'],
      /profiles\.h100, as roles\.learner,\.resources\.limits names nvidia\.com\/gpu: say gpus/,
    ],
    [
      "a GPU with the image that can't use it",
      ['profiles.odd={"gpus":1,"imageVariant":"cpu"}'],
      /profiles\.odd, .*imageVariant is cpu and gpus is 1/,
    ],
    [
      "a queue of Kueue's for the learner, whose Job is suspended already",
      ['roles.learner.podLabels={"kueue.x-k8s.io/queue-name":"ml"}'],
      /roles\.learner\.podLabels names a queue of Kueue/,
    ],
    [
      "a mount of no volume",
      ['roles.student.extraVolumeMounts=[{"name":"scratch","mountPath":"/scratch"}]'],
      /roles\.student\.extraVolumeMounts mounts scratch, which extraVolumes does not have/,
    ],
    [
      "a second container of the role's name",
      ['roles.reward.sidecars=[{"name":"retort"}]'],
      /roles\.reward has a further container named retort/,
    ],
    [
      "a container of the name of the one that fetches",
      ['roles.teacher.initContainers=[{"name":"retort-fetch"}]'],
      /roles\.teacher has a further container named retort-fetch/,
    ],
    [
      "two servers of S3 for one process",
      ['weights={"store":"s3","url":"s3://b/w"}', 'fetch.s3.endpoint="http://minio:9000"'],
      /fetch\.s3 and weights\.store s3 would name two servers/,
    ],
  ])("refuse %s", async (_, set, message) => {
    await expect(renderText({ set })).rejects.toThrow(message);
  });

  it("take a controller that is open to callers with a token and TLS, or with certificates", async () => {
    await expect(renderText({ set: [...open, ...token, ...tls] })).resolves.toContain("type: LoadBalancer");
    await expect(renderText({ set: [...open, ...tls, "tls.clientAuth=true"] })).resolves.toContain("type: LoadBalancer");
  });

  it("need the URL of a NATS that is not the release's own", async () => {
    await expect(renderText({ set: ["nats.enabled=false"] })).rejects.toThrow(/nats\.url is needed/);
  });

  it("need the bucket of a store in S3", async () => {
    await expect(renderText({ set: ['weights.store="s3"'] })).rejects.toThrow(/weights\.url is needed/);
  });

  it("refuse a directory of weights that students cannot see", async () => {
    await expect(renderText({ set: ['weights.store="directory"', 'data.roles=["learner"]'] })).rejects.toThrow(
      /add student to data\.roles/,
    );
  });
});

describe("values.schema.json", () => {
  it("is what the roles' settings say", () => {
    expect(() => execFileSync(process.execPath, [resolve("dist/deploy/values-schema.js"), "--check"], { stdio: "pipe" })).not.toThrow();
  });
});
