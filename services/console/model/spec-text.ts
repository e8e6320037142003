import { type JsonObject, toJson } from "@bufbuild/protobuf";
import * as yaml from "yaml";
import { readYamlWith } from "../../shared/base/yaml-document.js";
import { specIn, type WrittenSpec } from "../../shared/flow/runs/spec-document.js";
import { type RunSpec, RunSpecSchema } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** A spec as its JSON is. */
export const specJson = (spec: RunSpec | undefined): JsonObject => (spec ? (toJson(RunSpecSchema, spec) as JsonObject) : {});

/** A spec as YAML, as `retort run` reads it. */
export const specYaml = (spec: RunSpec | undefined): string => yaml.stringify(specJson(spec), { lineWidth: 120 });

/** Reads a spec from YAML, as `retort run` does; paths stay as they are. @throws RetortError that names every fault of the YAML and its place */
export const readSpec = (text: string): WrittenSpec => specIn(readYamlWith(yaml, text, "the spec"), "the spec");
