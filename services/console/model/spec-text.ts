import { fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { parse, stringify } from "yaml";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** A spec as its JSON is. */
export const specJson = (spec: RunSpec | undefined): JsonObject => (spec ? (toJson(RunSpecSchema, spec) as JsonObject) : {});

/** A spec as YAML, as `retort run` reads it. */
export const specYaml = (spec: RunSpec | undefined): string => stringify(specJson(spec), { lineWidth: 120 });

/** Reads a spec from YAML. @throws an error that says what can't be read */
export function readSpec(text: string): RunSpec {
  const json: unknown = parse(text);
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw new Error("write the fields of a RunSpec, such as `name: …`");
  return fromJson(RunSpecSchema, json as JsonValue);
}
