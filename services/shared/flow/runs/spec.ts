import { dirname, isAbsolute, resolve } from "node:path";
import { type Problem, RetortError } from "../../base/errors.js";
import { readYaml } from "../../base/yaml.js";
import type { RunSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { isAddress, namedInputs } from "./named-inputs.js";
import { soundParts } from "./sound-spec.js";
import { specIn, type WrittenSpec } from "./spec-document.js";

/** A spec that was read from a file, with absolute paths. */
export type SpecFile = WrittenSpec;

/**
 * Reads a run spec from YAML. Paths in it are relative to its file.
 *
 * @throws InvalidArgument with every field that is unknown or malformed, and where it stands; with these, the rules that the others break
 */
export const parseSpec = (text: string, file: string): RunSpec => parseSpecFile(text, file).spec;

/** Reads a run spec as {@link parseSpec} does, and knows where its fields stand. */
export function parseSpecFile(text: string, file: string): SpecFile {
  const written = readSpecFile(text, file);
  if (written.misfits.length) throw RetortError.ofProblems(file, problemsOf(written));
  return written;
}

/** Reads of a run spec what can be read, for those who check the rest, too. @throws InvalidArgument if it is no YAML, or holds no fields */
export function readSpecFile(text: string, file: string): SpecFile {
  const written = specIn(readYaml(text, file), file);
  return { ...written, spec: withAbsolutePaths(written.spec, dirname(resolve(file))) };
}

/** The misfits, and the rules that the rest breaks. Whether its parts go together can't be said before all of them are read. */
const problemsOf = ({ spec, misfits, beside, located }: WrittenSpec): Problem[] => [
  ...misfits,
  ...located(beside(soundParts(spec).broken)),
];

function withAbsolutePaths(spec: RunSpec, base: string): RunSpec {
  const absolute = (path: string) => (path === "" || isAbsolute(path) || isAddress(path) ? path : resolve(base, path));
  for (const { path, replace } of namedInputs(spec)) replace(absolute(path));
  spec.output = absolute(spec.output);
  return spec;
}
