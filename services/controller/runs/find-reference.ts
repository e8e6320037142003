import { fetchReference, isFetchable } from "../../shared/flow/runs/fetch-reference.js";
import { isRunReference } from "../../shared/flow/runs/run-reference.js";
import { isUploadReference } from "../../shared/flow/runs/upload-reference.js";
import type { FindReference } from "../check/references.js";
import { uploadsOf } from "../uploads/uploads-of.js";
import type { ControllerContext } from "./context.js";
import { findModel } from "./find-model.js";

/**
 * Finds what specs name of a controller's own: the models of its runs, and what was uploaded to it. Where a run's processes fetch what lies elsewhere, so
 * much of that is fetched here as a check reads: of weights the heads alone.
 */
export const findReference =
  (context: Pick<ControllerContext, "runs" | "uploads" | "mostFetchedBytes">): FindReference =>
  (named, { withoutWeights }) => {
    if (isRunReference(named)) return findModel(context.runs, named).then(there);
    if (isUploadReference(named)) return uploadsOf(context).find(named).then(there);
    const { mostFetchedBytes: mostBytes } = context;
    if (mostBytes === undefined || !isFetchable(named)) return undefined;
    return fetchReference(named, { withoutWeights, headsOnly: true, mostBytes }).then(({ path, reference, base }) => ({
      path,
      fetched: reference,
      ...(base && { base: base.reference }),
    }));
  };

const there = (path: string) => ({ path });
