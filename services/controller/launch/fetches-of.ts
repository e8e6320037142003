import { type NamedInput, namedInputs } from "../../shared/flow/runs/named-inputs.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { RunSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { Fetch, RoleSet } from "./launcher.js";

/** What the processes of a role, or of one teacher, read of what a run's spec named elsewhere; each place once. */
export function fetchesOf({ spec, fetched }: Pick<Run, "spec" | "fetched">, { role, teacher }: Pick<RoleSet, "role" | "teacher">): Fetch[] {
  if (!spec || fetched.length === 0) return [];
  const references = new Map(fetched.map((one) => [one.path, one]));
  const fetches = new Map<string, Fetch>();
  for (const input of [...namedInputs(spec), ...donorOf(spec)]) {
    const found = references.get(input.path);
    if (found === undefined || input.reader !== role || (role === "teacher" && input.teacher !== teacher)) continue;
    const earlier = fetches.get(input.path);
    const withoutWeights = (input.withoutWeights ?? false) && (earlier?.withoutWeights ?? true);
    fetches.set(input.path, { reference: found.reference, path: input.path, withoutWeights, ...(found.base && { base: found.base }) });
  }
  return [...fetches.values()];
}

/** A student from scratch that names no tokenizer takes its first teacher's. */
function donorOf({ student, teachers: [first] }: RunSpec): Pick<NamedInput, "path" | "reader" | "teacher" | "withoutWeights">[] {
  if (student?.init?.tokenizer !== "" || !first) return [];
  return [{ path: first.model, reader: "learner", withoutWeights: true }];
}
