import { dirname, isAbsolute, resolve } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type Problem, RetortError } from "../../base/errors.js";
import { readYaml, type YamlDocument } from "../../base/yaml.js";
import { type RunSpec, RunSpecSchema } from "../../gen/retort/v1/run_spec_pb.js";
import { isAddress, namedInputs } from "./named-inputs.js";
import { isWithin, soundParts } from "./sound-spec.js";
import { type Fitted, fitFields } from "./spec-fields.js";

/** A spec that was read from a file. */
export interface SpecFile {
  readonly spec: RunSpec;
  /** Problems with where in the file they are: of fields that aren't there, the nearest that they would be part of. */
  located(problems: readonly Problem[]): Problem[];
}

/**
 * Reads a run spec from YAML. Paths in it are relative to its file.
 *
 * @throws InvalidArgument with every field that is unknown or malformed, and where it stands; with these, the rules that the others break
 */
export const parseSpec = (text: string, file: string): RunSpec => parseSpecFile(text, file).spec;

/** Reads a run spec as {@link parseSpec} does, and knows where its fields stand. */
export function parseSpecFile(text: string, file: string): SpecFile {
  const document = readYaml(text, file);
  const json = document.value;
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new RetortError(
      "InvalidArgument",
      `${file} holds no fields; write \`name: …\` and the others of RunSpec in proto/retort/v1/run_spec.proto`,
    );
  const fitted = fitFields(RunSpecSchema, json as Record<string, JsonValue>);
  const spec = fromJson(RunSpecSchema, fitted.json);
  if (fitted.misfits.length) throw RetortError.ofProblems(file, problemsOf(document, spec, fitted));
  return {
    spec: withAbsolutePaths(spec, dirname(resolve(file))),
    located: (problems) => problems.map((problem) => locate(document, problem)),
  };
}

/** The misfits, and the rules that the rest breaks. Whether its parts go together can't be said before all of them are read. */
function problemsOf(document: YamlDocument, spec: RunSpec, { json, misfits }: Fitted): Problem[] {
  const unread = misfits.map(({ path, of, fieldPath, description, suggestion }) => ({
    fieldPath,
    description,
    place: document.placeOf(path, of),
    ...(suggestion === undefined ? {} : { suggestion }),
  }));
  // What isn't there may be there under a name that isn't known, or couldn't be read.
  const follows = (fieldPath: string) =>
    misfits.some((one) => isWithin(fieldPath, one.fieldPath) || isWithin(one.fieldPath, fieldPath)) || !isGiven(json, fieldPath);
  return [
    ...unread,
    ...soundParts(spec)
      .broken.filter(({ fieldPath }) => !follows(fieldPath))
      .map((one) => locate(document, one)),
  ];
}

/** Whether something stands at a path. */
function isGiven(json: unknown, fieldPath: string): boolean {
  let value = json;
  for (const step of stepsOf(fieldPath)) value = (value as Record<string | number, unknown> | undefined)?.[step];
  return value !== undefined;
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

/** The names and indices of a path: `phases[0].batchSize`. */
const stepsOf = (fieldPath: string): (string | number)[] =>
  [...fieldPath.matchAll(/\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|([^.[\]]+)/g)].map(([, index, key, name]) =>
    index === undefined ? (key ?? name ?? "") : Number(index),
  );

function withAbsolutePaths(spec: RunSpec, base: string): RunSpec {
  const absolute = (path: string) => (path === "" || isAbsolute(path) || isAddress(path) ? path : resolve(base, path));
  for (const { path, replace } of namedInputs(spec)) replace(absolute(path));
  spec.output = absolute(spec.output);
  return spec;
}
