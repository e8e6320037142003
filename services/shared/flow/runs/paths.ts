import type { Problem } from "../../base/errors.js";
import { Roots } from "../../base/paths.js";
import type { ProcessSettings } from "../../base/settings.js";
import type { RunSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { baseModelOf, modelRefusal } from "./base-model.js";
import { isAddress, namedInputs } from "./named-inputs.js";

/** Which paths a spec may name. */
export interface SpecRoots {
  /** Of models and data. */
  readonly roots: Roots;
  readonly outputRoots: Roots;
}

/** Every path is permitted. */
export const anywhere: SpecRoots = { roots: new Roots(undefined, "--roots"), outputRoots: new Roots(undefined, "--output-roots") };

/** The settings that say which paths a spec may name. */
export type RootSettings = Partial<Pick<ProcessSettings, "roots" | "outputRoots">>;

/** The roots of a process's settings. Where nothing is said of output, it goes where models and data are. */
export const specRootsOf = ({ roots, outputRoots }: RootSettings): SpecRoots => ({
  roots: new Roots(roots, "--roots"),
  outputRoots: new Roots(outputRoots ?? roots, outputRoots ? "--output-roots" : "--roots"),
});

/** Every path of a spec that is not permitted. It is asked before any of them is opened. */
export async function pathProblems(spec: RunSpec, { roots, outputRoots }: SpecRoots): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { fieldPath, path } of namedInputs(spec)) {
    const description = isAddress(path) ? elsewhere(path) : path && (await modelRefusal(roots, path));
    if (description) problems.push({ fieldPath, description });
  }
  const refused = spec.output && (await outputRoots.refusal(spec.output));
  return refused ? [...problems, { fieldPath: "output", description: refused }] : problems;
}

const elsewhere = (address: string): string =>
  `is ${address}, and a run's processes read paths alone here: \`retort run --upload\` fetches what hf:// and s3:// name and sends it, \`retort fetch\` says where it is on this machine, and pods fetch it with the chart's fetch.enabled`;

/** Every file and directory that a run of a spec reads, by field: those that it names, and the base models of adapters among them. */
export async function pathsRead(spec: RunSpec): Promise<[fieldPath: string, path: string][]> {
  const named = namedInputs(spec).flatMap(({ fieldPath, path }): [string, string][] => (path ? [[fieldPath, path]] : []));
  const bases = await Promise.all(named.map(async ([field, path]) => [`the base model of ${field}`, await baseModelOf(path)] as const));
  return [...named, ...bases.flatMap(([field, base]): [string, string][] => (base ? [[field, base]] : []))];
}
