import { clone } from "@bufbuild/protobuf";
import { type Problem, RetortError } from "../../shared/base/errors.js";
import { namedInputs } from "../../shared/flow/runs/named-inputs.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** Finds the directory or file that a reference means; undefined if it is none that this knows. Throws with the reason if it can't be had. */
export type FindReference = (named: string) => Promise<string> | undefined;

/** A spec whose references are paths, as far as they could be found. */
export interface Dereferenced {
  readonly spec: RunSpec;
  readonly problems: readonly Problem[];
}

/** Puts paths in the place of what a spec refers to by what the controller knows. The given one stays as it is. */
export async function dereferenced(given: RunSpec, find: FindReference): Promise<Dereferenced> {
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

/** What is wrong with a spec, with what its references came to in the place of what is said of an address. */
export const withReferences = (problems: readonly Problem[], own: readonly Problem[]): Problem[] => {
  const fields = new Set(own.map(({ fieldPath }) => fieldPath));
  return [...own, ...problems.filter(({ fieldPath }) => !fields.has(fieldPath))];
};
