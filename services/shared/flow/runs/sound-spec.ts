import { clone, create } from "@bufbuild/protobuf";
import { type Path, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { Problem } from "../../base/errors.js";
import { brokenRules } from "../../base/rpc/check-message.js";
import { DataSpecSchema, type RunSpec, RunSpecSchema, type RunSpecValid, StudentSpecSchema } from "../../gen/retort/v1/run_spec_pb.js";
import { isWithin } from "./field-path.js";

/** A spec with what is wrong with it by the rules of its proto, and what can be said of the rest all the same. */
export interface SoundSpec {
  /** The spec as far as it is sound: what breaks a rule is left out, so that its default stands in its place. */
  readonly spec: RunSpecValid;
  /** The rules that are broken. */
  readonly broken: readonly Problem[];
  /** Problems that are not about what stands in the place of something broken. */
  relevant(problems: readonly Problem[]): Problem[];
  /** False for a field that breaks a rule, for what it is part of, and for its own parts. */
  isSound(fieldPath: string): boolean;
}

/** Takes a spec apart into what is sound and what is not; the given one is left as it is. */
export function soundParts(given: RunSpec): SoundSpec {
  const broken = brokenRules(RunSpecSchema, given);
  const spec = clone(RunSpecSchema, given);
  for (const { path } of broken) clearAt(reflect(RunSpecSchema, spec), path);
  return {
    spec: Object.assign(spec, { student: spec.student ?? create(StudentSpecSchema), data: spec.data ?? create(DataSpecSchema) }),
    broken: broken.map(({ path, ...problem }) => problem),
    relevant: (problems) => problems.filter(({ fieldPath }) => !broken.some((one) => isWithin(fieldPath, one.fieldPath))),
    isSound: (fieldPath) => !broken.some((one) => isWithin(one.fieldPath, fieldPath) || isWithin(fieldPath, one.fieldPath)),
  };
}

/** Leaves out the field at a path; a message stays, whose own fields may be sound, and a list goes as a whole. */
function clearAt(message: ReflectMessage, path: Path): void {
  const [field, ...rest] = path;
  if (field?.kind !== "field") return;
  if (field.fieldKind === "message") {
    if (rest.length && message.isSet(field)) clearAt(message.get(field), rest);
    return;
  }
  const [item, ...within] = rest;
  if (field.fieldKind === "list" && field.listKind === "message" && item?.kind === "list_sub") {
    const part = message.get(field).get(item.index);
    if (within.length && part !== undefined) clearAt(part as ReflectMessage, within);
    return;
  }
  message.clear(field);
}
