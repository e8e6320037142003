import type { Problem } from "../../../services/shared/base/errors.js";
import { examineSpec, type MoreChecks } from "../../../services/shared/flow/runs/check-spec.js";
import type { RunSpec } from "../../../services/shared/gen/retort/v1/run_spec_pb.js";

/** Everything that is wrong with a spec by itself; empty if it may be looked at further. */
export const checkSpec = (spec: RunSpec, more?: MoreChecks): readonly Problem[] => examineSpec(spec, more).problems;
