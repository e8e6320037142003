import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { describeChart, find, type Manifest, type RenderOptions, render } from "./support/render.js";

const spec = {
  student: { model: "/models/student" },
  teachers: [{ model: "/models/teacher" }],
  data: { path: "/models/train.jsonl" },
  phases: [{ steps: 1_000_000, optimizer: { learningRate: 0.00001 } }],
};
const nightly = (more: object = {}) => `runs.nightly=${JSON.stringify({ ...spec, ...more })}`;
const token = 'token={"existingSecret":"callers","runKey":"run"}';

describeChart("runs of the values", () => {
  const jobs = async (options: RenderOptions): Promise<Manifest[]> => (await render(options)).filter(({ kind }) => kind === "Job");
  const commandOf = (job: Manifest): string[] => job.spec.template.spec.containers[0].command;
  const requestOf = (job: Manifest) => commandOf(job).find((flag) => flag.startsWith("--request-id="));

  it("are none without", async () => {
    expect(await jobs({})).toEqual([]);
  });

  it("are each a Job that starts it as any caller would, with the token for runs", async () => {
    const manifests = await render({ set: [nightly(), token] });
    const [job] = manifests.filter(({ kind }) => kind === "Job");
    expect(commandOf(job!).slice(0, 5)).toEqual(["node", "dist/services/cli.js", "run", "/etc/retort/run/spec.yaml", "--detach"]);
    expect(commandOf(job!).at(-1)).toBe("--controller=retort:7070");
    const pod = job!.spec.template.spec;
    expect(pod.containers[0].env).toEqual([{ name: "RETORT_TOKEN", valueFrom: { secretKeyRef: { name: "callers", key: "run" } } }]);
    const [{ configMap }] = pod.volumes.filter(({ name }: { name: string }) => name === "run");
    const text = find(manifests, "ConfigMap", configMap.name).data["spec.yaml"] as string;
    expect(parseSpec(text, "spec.yaml")).toMatchObject({
      name: "nightly",
      phases: [{ steps: 1_000_000, optimizer: { learningRate: 0.00001 } }],
    });
  });

  it("ask for the same run again after an upgrade, and for another one when the spec has changed", async () => {
    const jobOf = async (...set: readonly string[]) => (await jobs({ set: [nightly(), ...set] }))[0]!;
    const before = await jobOf('image.tag="2"');
    const upgraded = await jobOf('image.tag="3"');
    const changed = await jobOf('image.tag="2"', nightly({ seed: 2 }));
    // The pod of a Job may not change.
    expect(upgraded.metadata.name).not.toBe(before.metadata.name);
    expect(requestOf(upgraded)).toBe(requestOf(before));
    expect(requestOf(changed)).not.toBe(requestOf(before));
    expect(requestOf(before)).toMatch(/^--request-id=nightly-[0-9a-f]{10}$/);
  });

  it("have names that Kubernetes takes, however long theirs are", async () => {
    const long = "a".repeat(40);
    for (const { metadata } of await jobs({ set: [`runs={"${long}":${JSON.stringify(spec)}}`] }))
      expect(metadata.name.length).toBeLessThanOrEqual(63);
    await expect(render({ set: ['runs={"No Name":{}}'] })).rejects.toThrow(/invalid propertyName 'No Name'/);
  });
});
