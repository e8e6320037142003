import { createHash } from "node:crypto";
import { RetortError } from "../../shared/base/errors.js";
import { byAge } from "../../shared/flow/runs/run-store.js";
import { isFoundBy } from "../../shared/flow/runs/search-runs.js";
import type { ListRunsRequest } from "../../shared/gen/retort/v1/controller_pb.js";
import type { Run } from "../../shared/gen/retort/v1/run_pb.js";
import type { ControllerContext } from "./context.js";
import { described } from "./watch.js";

type Filters = Pick<ListRunsRequest, "name" | "search" | "states">;

/** The runs that can be read and that the filters let pass, newest first, with what is never stored; a page of them if one is asked for. */
export async function listRuns(
  context: ControllerContext,
  { pageSize, pageToken, ...filters }: Filters & Pick<ListRunsRequest, "pageSize" | "pageToken">,
): Promise<{ runs: Run[]; nextPageToken: string }> {
  const behind = pageToken ? placeOf(pageToken, filters) : undefined;
  const passing = (await context.runs.list()).filter((run) => passes(run, filters) && (!behind || byAge(behind, run) < 0));
  const page = passing.slice(0, pageSize || passing.length);
  const runs: Run[] = [];
  // One after the other: sizes are read from the disk.
  for (const run of page) runs.push(await describedOrAsIs(context, run));
  const last = page.at(-1);
  return { runs, nextPageToken: last && page.length < passing.length ? tokenOf(last, filters) : "" };
}

/** A run of a list; one of which something cannot be read is listed as it is. */
const describedOrAsIs = (context: ControllerContext, run: Run): Promise<Run> => described(context, run).catch(() => run);

const passes = (run: Run, { states, name, search }: Filters): boolean =>
  (states.length === 0 || states.includes(run.state)) && (name === "" || run.spec?.name === name) && isFoundBy(run, search);

/** Tells filters apart: a page of other filters begins elsewhere. */
const digestOf = ({ states, name, search }: Filters): string =>
  createHash("sha256")
    .update(JSON.stringify([[...new Set(states)].sort(), name, search]))
    .digest("base64url")
    .slice(0, 12);

/** Where a page ends: its last run, by what runs are ordered by. A run that is deleted meanwhile is no gap. */
function tokenOf({ runId, created }: Run, filters: Filters): string {
  const place = [created?.seconds ?? 0n, created?.nanos ?? 0, runId, digestOf(filters)];
  return Buffer.from(place.join("/")).toString("base64url");
}

/** The run at which the page before ended. @throws InvalidArgument if the token is not one of ours, or of other filters */
function placeOf(token: string, filters: Filters): Parameters<typeof byAge>[0] {
  const read = /^(\d{1,15})\/(\d{1,9})\/([a-z0-9-]{1,63})\/([\w-]{12})$/.exec(Buffer.from(token, "base64url").toString());
  const [, seconds = "", nanos, runId = "", digest] = read ?? [];
  if (!read) throw refusal("is none that ListRuns has answered; give the nextPageToken of its last answer");
  if (digest !== digestOf(filters))
    throw refusal("belongs to other filters; ask with the states, the name and the search of the first page");
  return { runId, created: { seconds: BigInt(seconds), nanos: Number(nanos) } };
}

const refusal = (reason: string): RetortError => new RetortError("InvalidArgument", `pageToken ${reason}`, { fieldPath: "pageToken" });
