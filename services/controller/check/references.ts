import { clone } from "@bufbuild/protobuf";
import { type Problem, RetortError } from "../../shared/base/errors.js";
import { type NamedInput, namedInputs } from "../../shared/flow/runs/named-inputs.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { type AcceptedRun, checkRun, type Verdict } from "./inspector.js";
import type { RunPlace } from "./run-place.js";

/** What a reference means. */
export interface FoundReference {
  /** The directory or file; of what `fetched` names the place where a run's processes will have it, and where so much of it is as a check reads. */
  readonly path: string;
  /** What a run's processes fetch first, in its unchangeable form; undefined for what is there. */
  readonly fetched?: string;
  /** Of an adapter: the base model that comes with it, in its unchangeable form. */
  readonly base?: string;
}

/** Finds what a reference means; undefined if it is none that this knows. Throws with the reason if it can't be had. */
export type FindReference = (named: string, input: Pick<NamedInput, "withoutWeights">) => Promise<FoundReference> | undefined;

/** A spec whose references are paths, as far as they could be found. */
interface Dereferenced {
  readonly spec: RunSpec;
  readonly fetched: readonly FetchedPlace[];
  readonly problems: readonly Problem[];
}

/** What a run's processes fetch, and where they have it then. */
export interface FetchedPlace {
  readonly reference: string;
  readonly path: string;
  readonly base?: string;
}

/** Puts paths in the place of what a spec refers to by what the controller knows. The given one stays as it is. */
async function dereferenced(given: RunSpec, find: FindReference): Promise<Dereferenced> {
  const spec = clone(RunSpecSchema, given);
  const problems: Problem[] = [];
  const fetched = new Map<string, FetchedPlace>();
  for (const { fieldPath, path, replace, withoutWeights } of namedInputs(spec))
    try {
      const found = await find(path, { withoutWeights });
      if (found === undefined) continue;
      replace(found.path);
      if (found.fetched !== undefined)
        fetched.set(found.path, { reference: found.fetched, path: found.path, ...(found.base && { base: found.base }) });
    } catch (error) {
      problems.push({ fieldPath, description: RetortError.from(error).message });
    }
  return { spec, problems, fetched: [...fetched.values()] };
}

/** Knows of nothing that is named by a reference. */
export const noReferences: FindReference = () => undefined;

/** What is said of a spec, and what its run's processes fetch. */
export type ReferringVerdict = Exclude<Verdict, AcceptedRun> | (AcceptedRun & { readonly fetched: readonly FetchedPlace[] });

/** Checks a spec as {@link checkRun} does, with paths in the place of what it refers to; what can't be found is a problem of its field. */
export async function checkReferring(given: RunSpec, place: RunPlace | undefined, find: FindReference): Promise<ReferringVerdict> {
  const { spec, problems, fetched } = await dereferenced(given, find);
  const verdict = await checkRun(spec, place);
  if (problems.length === 0) return "problems" in verdict ? verdict : { ...verdict, fetched };
  const fields = new Set(problems.map(({ fieldPath }) => fieldPath));
  // That an address is no path needn't be said besides.
  const others = "problems" in verdict ? verdict.problems.filter(({ fieldPath }) => !fields.has(fieldPath)) : [];
  return { problems: [...problems, ...others] };
}
