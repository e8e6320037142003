import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import { specYaml } from "../model/spec-text.js";
import { Text } from "./scroll.js";

/** A run's spec as YAML. */
export const SpecView = ({ run }: { readonly run: Run }) => <Text name="The spec as YAML">{specYaml(run.spec)}</Text>;
