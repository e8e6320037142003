import { RetortError } from "../shared/base/errors.js";
import type { RoleParts } from "../shared/base/role.js";
import type { Handlers } from "../shared/base/rpc/handlers.js";
import type { RootSettings } from "../shared/flow/runs/paths.js";
import { isRunReference } from "../shared/flow/runs/run-reference.js";
import { isUploadReference } from "../shared/flow/runs/upload-reference.js";
import { ControllerService } from "../shared/gen/retort/v1/controller_pb.js";
import type { FindReference } from "./check/references.js";
import { validateRun } from "./check/validate-run.js";

/**
 * A controller that checks specs and does nothing else (`--check-only`): what `retort validate` asks where no controller runs. It
 * needs no NATS, writes nothing, and answers ValidateRun as every controller does.
 */
export function checkingController(roots: RootSettings): RoleParts {
  const refused = () => {
    throw new RetortError("FailedPrecondition", "this controller was started with --check-only; it checks specs, and has no runs");
  };
  const others = Object.fromEntries(ControllerService.methods.map(({ localName }) => [localName, refused]));
  const find: FindReference = (named) => {
    if (!isRunReference(named) && !isUploadReference(named)) return undefined;
    throw new RetortError("FailedPrecondition", `is ${named}, which only a controller with runs knows; start one: retort up`);
  };
  const checks: Pick<Handlers<typeof ControllerService>, "validateRun"> = { validateRun: ({ spec }) => validateRun(spec, roots, find) };
  return { before: [], implementations: [{ service: ControllerService, handlers: { ...others, ...checks } }], after: [] };
}
