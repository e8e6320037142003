import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { RunState } from "../../../services/shared/gen/retort/v1/run_pb.js";
import { type Kubectl, until } from "../support/commands.js";
import type { Images } from "../support/images.js";
import type { Installation } from "../support/installation.js";
import { execute, fetchedDigests, gone, spec, succeeded } from "../support/runs.js";
import { check, say } from "../support/say.js";

const cache = "model-cache";
const values = ["fetch.enabled=true", "fetch.hub.endpoint=http://hub:8080", `fetch.source.persistentVolumeClaim.claimName=${cache}`];

/**
 * Teachers that are named on a hub: pods that start at a time fetch a model once, later ones not at all, and a run whose model can't be had fails and says why.
 */
export async function fetched(installation: Installation, images: Images, steps: number, expected: string): Promise<void> {
  const { kubectl, controller } = installation;
  await kubectl.apply({ apiVersion: "v1", kind: "List", items: await hubOf(images.retort) });
  await installation.upgrade(...values);
  const asked = async () =>
    JSON.parse(await kubectl.run("get", "--raw", `/api/v1/namespaces/${kubectl.namespace}/services/hub:8080/proxy/fetched`));
  await until(
    "the hub answers",
    () => asked().catch(() => undefined),
    (answer) => answer !== undefined,
    60_000,
  );
  const weights = async () => ((await asked()) as string[]).filter((path) => path.startsWith("model.safetensors")).length;
  for (const [name, pods] of [
    ["fetched", 2],
    ["again", 1],
  ] as const) {
    const watched = await execute(installation, name, steps, () => {}, 'model: "hf://num2words/teacher"', pods);
    succeeded(watched);
    const { runId, fetched: inputs } = watched.run;
    check(`${name}: it notes the commit of its teacher`, /^hf:\/\/num2words\/teacher@[0-9a-f]{40}$/.test(inputs[0]?.reference ?? ""));
    // The controller has read the head once, and the pods of one node the whole.
    check(
      `${name}: its teachers' pods (${pods}) have fetched the weights once, of both runs`,
      (await weights()) === 2,
      `${await weights()}`,
    );
    const digest = (await fetchedDigests(installation, runId)).get("model.safetensors");
    check(`${name}: its weights are those of a run whose teacher lies in the image`, digest === expected, `${digest} ${expected}`);
    await gone(installation, runId);
  }
  const missing = await controller
    .startRun({ spec: spec("missing", steps, 'model: "hf://num2words/nothing"') })
    .catch((error: Error) => error.message);
  check(
    "missing: a model that isn't there is refused before anything starts",
    /hf:\/\/num2words\/nothing: .*status 404/.test(String(missing)),
    String(missing),
  );
  const { run } = await execute(installation, "gated", steps, () => {}, 'model: "hf://num2words/gated"');
  check("gated: a run whose pods may not fetch a model fails", run.state === RunState.FAILED);
  say(`gated: ${run.message}`);
  check(
    "gated: it says which file, where from, and why",
    /teacher ended with code 77: .* could not be fetched from http:\/\/hub:8080\/num2words\/gated\/.*status 403/.test(run.message),
  );
  await gone(installation, run.runId);
  await installation.upgrade();
  await removeHub(kubectl);
}

async function removeHub(kubectl: Kubectl): Promise<void> {
  await kubectl.run("delete", `pvc/${cache}`, "pod/hub", "service/hub", "configmap/hub", "--timeout=120s");
}

/** A hub in a pod of the namespace, with the example's teacher, and the claim of the cache. */
async function hubOf(image: string): Promise<object[]> {
  const storageClassName = process.env.RETORT_STORAGE_CLASS;
  const claim = {
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: "1Gi" } },
    ...(storageClassName && { storageClassName }),
  };
  const hub = await readFile(resolve("dist/test/support/servers/hub.js"), "utf8");
  const secure = {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    runAsUser: 1000,
    capabilities: { drop: ["ALL"] },
    seccompProfile: { type: "RuntimeDefault" },
  };
  const container = {
    ...{ name: "hub", image, imagePullPolicy: "Never", command: ["node", "/hub/main.mjs"], securityContext: secure },
    volumeMounts: [{ name: "hub", mountPath: "/hub" }],
  };
  return [
    { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name: cache }, spec: claim },
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "hub" }, data: { "hub.mjs": hub, "main.mjs": program } },
    { apiVersion: "v1", kind: "Service", metadata: { name: "hub" }, spec: { selector: { app: "hub" }, ports: [{ port: 8080 }] } },
    {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "hub", labels: { app: "hub" } } },
      spec: { containers: [container], volumes: [{ name: "hub", configMap: { name: "hub" } }], terminationGracePeriodSeconds: 1 },
    },
  ];
}

/** Two repositories of one model; of `gated` each file is given once, to whoever checks a spec. */
const program = `
import { readdirSync, readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { TestHub } from "./hub.mjs";
const model = "/app/deploy/examples/num2words/models/teacher";
const files = new Map(readdirSync(model).map((name) => [name, { bytes: readFileSync(model + "/" + name), large: name.endsWith(".safetensors") }]));
const [teacher, gated] = [await TestHub.start("num2words/teacher", files), await TestHub.start("num2words/gated", files)];
const given = new Set();
createServer((asked, answer) => {
  if (asked.url === "/fetched") return answer.end(JSON.stringify(teacher.fetched));
  const isGated = asked.url.includes("num2words/gated");
  if (isGated && given.has(asked.url)) return answer.writeHead(403).end();
  if (isGated && asked.url.includes("/resolve/")) given.add(asked.url);
  const to = { port: new URL((isGated ? gated : teacher).url).port, path: asked.url, method: asked.method, headers: asked.headers };
  asked.pipe(request(to, (given) => given.pipe(answer.writeHead(given.statusCode, given.headers))));
}).listen(8080);
`;
