import { dirname, isAbsolute, resolve } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { RetortError } from "../../base/errors.js";
import { parseYaml } from "../../base/yaml.js";
import { type RunSpec, RunSpecSchema } from "../../gen/retort/v1/run_spec_pb.js";
import { isAddress, namedInputs } from "./named-inputs.js";

/**
 * Reads a run spec from YAML. Paths in it are relative to its file.
 *
 * @throws InvalidArgument naming the file and the field that is unknown or malformed
 */
export function parseSpec(text: string, file: string): RunSpec {
  const json = parseYaml(text, file);
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new RetortError(
      "InvalidArgument",
      `${file} holds no fields; write \`name: …\` and the others of RunSpec in proto/retort/v1/run_spec.proto`,
    );
  let spec: RunSpec;
  try {
    spec = fromJson(RunSpecSchema, json as JsonValue);
  } catch (error) {
    // Which field, and what it should be; not what stands there, since the file may be another's.
    const said = (error as Error).message.replace(/^cannot decode (message )?(retort\.v1\.)?/, "");
    const reason = said.replace(/(got|from JSON:?) "[\s\S]*$/, "$1 text").replace("from JSON: ", "");
    throw new RetortError(
      "InvalidArgument",
      `${file}: ${reason}; the fields are those of RunSpec in proto/retort/v1/run_spec.proto, in lowerCamelCase`,
    );
  }
  return withAbsolutePaths(spec, dirname(resolve(file)));
}

function withAbsolutePaths(spec: RunSpec, base: string): RunSpec {
  const absolute = (path: string) => (path === "" || isAbsolute(path) || isAddress(path) ? path : resolve(base, path));
  for (const { path, replace } of namedInputs(spec)) replace(absolute(path));
  spec.output = absolute(spec.output);
  return spec;
}
