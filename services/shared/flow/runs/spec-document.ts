import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Problem, RetortError } from "../../base/errors.js";
import type { YamlDocument } from "../../base/yaml-document.js";
import { type RunSpec, RunSpecSchema } from "../../gen/retort/v1/run_spec_pb.js";
import { isWithin, stepsOf } from "./field-path.js";
import { fitFields } from "./spec-fields.js";

/** A spec as it is written: what of it can be read, and what can't. It needs no Node: the page reads specs, too. */
export interface WrittenSpec {
  readonly spec: RunSpec;
  /** Names that are no field's, and values that can't be read, with where they stand. */
  readonly misfits: readonly Problem[];
  /** Of problems of what could be read, those that don't follow from the misfits. */
  beside(problems: readonly Problem[]): Problem[];
  /** Problems with where in the file they are: of fields that aren't there, the nearest that they would be part of. */
  located(problems: readonly Problem[]): Problem[];
}

/** Takes a spec from a document. @throws InvalidArgument if it holds no fields at all */
export function specIn(document: YamlDocument, file: string): WrittenSpec {
  const json = document.value;
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new RetortError(
      "InvalidArgument",
      `${file} holds no fields; write \`name: …\` and the others of RunSpec in proto/retort/v1/run_spec.proto`,
    );
  const fitted = fitFields(RunSpecSchema, json as Record<string, JsonValue>);
  const near = (fieldPath: string) =>
    fitted.misfits.some((one) => isWithin(fieldPath, one.fieldPath) || isWithin(one.fieldPath, fieldPath));
  // What isn't there may be there under a name that isn't known, or couldn't be read.
  const follows = (fieldPath: string) => fitted.misfits.length > 0 && (near(fieldPath) || !isGiven(fitted.json, fieldPath));
  return {
    spec: fromJson(RunSpecSchema, fitted.json),
    misfits: fitted.misfits.map(({ path, of, fieldPath, description, suggestion }) => ({
      fieldPath,
      description,
      place: document.placeOf(path, of),
      ...(suggestion === undefined ? {} : { suggestion }),
    })),
    beside: (problems) => problems.filter(({ fieldPath }) => !follows(fieldPath)),
    located: (problems) => problems.map((problem) => locate(document, problem)),
  };
}

/** A problem with its place in the file, where names may be as in the proto. */
function locate(document: YamlDocument, problem: Problem): Problem {
  let value = document.value;
  const path = stepsOf(problem.fieldPath).map((step) => {
    const fields = (typeof value === "object" && value !== null ? value : {}) as Record<string | number, unknown>;
    const written = Object.hasOwn(fields, step) ? step : String(step).replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    value = fields[written];
    return typeof step === "number" ? step : written;
  });
  return { ...problem, place: document.placeOf(path) };
}

/** Whether something stands at a path. */
function isGiven(json: unknown, fieldPath: string): boolean {
  let value = json;
  for (const step of stepsOf(fieldPath)) value = (value as Record<string | number, unknown> | undefined)?.[step];
  return value !== undefined;
}
