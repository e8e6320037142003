import { clone } from "@bufbuild/protobuf";
import { type Problem, RetortError } from "../../shared/base/errors.js";
import { namedInputs } from "../../shared/flow/runs/named-inputs.js";
import type { RootSettings } from "../../shared/flow/runs/paths.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { checkRun, type Verdict } from "./inspector.js";

/** Finds the directory or file that a reference means; undefined if it is none that this knows. Throws with the reason if it can't be had. */
export type FindReference = (named: string) => Promise<string> | undefined;

/** A spec whose references are paths, as far as they could be found. */
interface Dereferenced {
  readonly spec: RunSpec;
  readonly problems: readonly Problem[];
}

/** Puts paths in the place of what a spec refers to by what the controller knows. The given one stays as it is. */
async function dereferenced(given: RunSpec, find: FindReference): Promise<Dereferenced> {
  const spec = clone(RunSpecSchema, given);
  const problems: Problem[] = [];
  for (const { fieldPath, path, replace } of namedInputs(spec))
    try {
      const found = await find(path);
      if (found !== undefined) replace(found);
    } catch (error) {
      problems.push({ fieldPath, description: RetortError.from(error).message });
    }
  return { spec, problems };
}

/** Knows of nothing that is named by a reference. */
export const noReferences: FindReference = () => undefined;

/** Checks a spec as {@link checkRun} does, with paths in the place of what it refers to; what can't be found is a problem of its field. */
export async function checkReferring(given: RunSpec, roots: RootSettings | undefined, find: FindReference): Promise<Verdict> {
  const { spec, problems } = await dereferenced(given, find);
  const verdict = await checkRun(spec, roots);
  if (problems.length === 0) return verdict;
  const fields = new Set(problems.map(({ fieldPath }) => fieldPath));
  // That an address is no path needn't be said besides.
  const others = "problems" in verdict ? verdict.problems.filter(({ fieldPath }) => !fields.has(fieldPath)) : [];
  return { problems: [...problems, ...others] };
}
