import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { findGoTool, hasGo, helm } from "../../support/tools/go-tool.js";

const run = promisify(execFile);

/** The chart. */
export const chart = resolve("deploy/helm/retort");

/** The example values files by their name: laptop, single-gpu, … */
export const examples: readonly string[] = readdirSync("deploy/examples/values").map((file) => file.replace(/\.yaml$/, ""));

/** Like `describe`; skipped, with a message of the setup, where the tools cannot be had. */
export const describeChart = (await hasGo()) ? describe : describe.skip;

/** A Kubernetes object, as far as tests look into it. */
export type Manifest = {
  kind: string;
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: manifests are checked against their schemas elsewhere
  [field: string]: any;
};

/** What to render: an example's values, single values over it (`a.b=c`, as helm's --set), and kinds that the cluster has besides. */
export interface RenderOptions {
  readonly example?: string;
  readonly set?: readonly string[];
  readonly apis?: readonly string[];
}

const flagsOf = ({ example, set = [], apis = [] }: RenderOptions): string[] => [
  ...(example ? ["--values", resolve(`deploy/examples/values/${example}.yaml`)] : []),
  ...set.flatMap((value) => ["--set-json", value]),
  ...apis.flatMap((api) => ["--api-versions", api]),
];

/** Runs helm. @throws its message */
export async function runHelm(...argv: readonly string[]): Promise<string> {
  const binary = await findGoTool(helm);
  const { stdout } = await run(binary!, [...argv], { maxBuffer: 1 << 26 }).catch((error: { stderr: string; stdout: string }) =>
    Promise.reject(new Error(error.stderr + error.stdout)),
  );
  return stdout;
}

/** `helm lint --strict`. @throws what it found */
export const lint = (options: RenderOptions): Promise<string> =>
  runHelm("lint", "--strict", "--kube-version", "1.34.0", chart, ...flagsOf(options).filter((flag) => flag !== "--api-versions"));

/** The text that the chart renders to for a release `retort` in the namespace `distill`. */
export const renderText = (options: RenderOptions = {}): Promise<string> =>
  runHelm("template", "retort", chart, "--namespace", "distill", "--kube-version", "1.34.0", ...flagsOf(options));

/** The manifests that the chart renders to. */
export async function render(options: RenderOptions = {}): Promise<Manifest[]> {
  const documents = parseAllDocuments(await renderText(options));
  return (documents as { toJS(): Manifest | null }[]).flatMap((document) => document.toJS() ?? []);
}

/** The manifest of a kind and name. */
export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} ${name}`);
  return found;
}

/** The text of the pod templates that the controller is given. */
export const roleTemplatesText = (manifests: readonly Manifest[]): string =>
  find(manifests, "ConfigMap", "retort-roles").data["roles.yaml"] as string;

/** Every pod that there may be, by a name: of the controller, NATS, the test, each role, and each role with a profile (`h100 student`). */
export function podsOf(manifests: readonly Manifest[]): [name: string, template: Manifest][] {
  const own = manifests.flatMap((manifest): [string, Manifest][] => {
    if (manifest.kind === "Pod") return [["test", manifest]];
    const template = manifest.spec?.template as Manifest | undefined;
    return template ? [[template.metadata.labels!["app.kubernetes.io/component"]!, template]] : [];
  });
  type Roles = Record<string, Manifest>;
  const { profiles = {}, ...roles } = parseYaml(roleTemplatesText(manifests)) as Roles & { profiles?: Record<string, Roles> };
  const chosen = Object.entries(profiles).flatMap(([profile, pods]) =>
    Object.entries(pods).map(([role, pod]): [string, Manifest] => [`${profile} ${role}`, pod]),
  );
  return [...own, ...Object.entries(roles as Roles), ...chosen];
}

/** The environment of a pod's container, secrets by their key. */
export function environmentOf(template: Manifest): Record<string, string> {
  const [{ env = [] }] = template.spec.containers;
  return Object.fromEntries(
    env.map(({ name, value, valueFrom }: { name: string; value?: string; valueFrom?: { secretKeyRef: { name: string; key: string } } }) => [
      name,
      value ?? `${valueFrom!.secretKeyRef.name}/${valueFrom!.secretKeyRef.key}`,
    ]),
  );
}

/** A file below the chart. */
export const chartFile = (name: string): string => join(chart, name);
