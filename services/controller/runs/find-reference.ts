import { isRunReference } from "../../shared/flow/runs/run-reference.js";
import { isUploadReference } from "../../shared/flow/runs/upload-reference.js";
import type { FindReference } from "../check/references.js";
import { uploadsOf } from "../uploads/uploads-of.js";
import type { ControllerContext } from "./context.js";
import { findModel } from "./find-model.js";

/** Finds what specs name of a controller's own: the models of its runs, and what was uploaded to it. */
export const findReference =
  (context: Pick<ControllerContext, "runs" | "uploads">): FindReference =>
  (named) => {
    if (isRunReference(named)) return findModel(context.runs, named);
    return isUploadReference(named) ? uploadsOf(context).find(named) : undefined;
  };
