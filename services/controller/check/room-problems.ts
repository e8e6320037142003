// Whether what is read and what is written fit into the models' positions: a row that doesn't fit is left out by the learner, and a
// completion that its teacher can't read goes without its score. A run to which nothing is left is refused here.
import { counted } from "../../shared/base/counted.js";
import type { Problem } from "../../shared/base/errors.js";
import { type Item, limitsOf, misfit } from "../../shared/codec/examples.js";
import { evaluatedTokens, type NewTokens, sampledTokens } from "../../shared/flow/runs/new-tokens.js";
import type { CheckedRun, SpecWarning } from "./checked-run.js";
import type { StudentModel } from "./named-model.js";

/** Rows of a dataset as they were looked at. */
export interface LookedAt {
  readonly items: readonly Item[];
  /** Whether these are all that the run reads. */
  readonly whole: boolean;
  readonly path: string;
}

/** What models' positions come to. */
export interface RoomFindings {
  readonly problems: readonly Problem[];
  readonly warnings: readonly SpecWarning[];
}

type Run = Pick<CheckedRun, "spec" | "run">;

/** What is written behind a prompt, and what it must leave room for besides. */
interface Room {
  readonly written: NewTokens | undefined;
  readonly replyTokens: number;
  readonly maxPromptTokens: number;
}

/** Both findings. */
export const together = (...all: readonly RoomFindings[]): RoomFindings => ({
  problems: all.flatMap(({ problems }) => problems),
  warnings: all.flatMap(({ warnings }) => warnings),
});

/** Of models that have room for all. */
export const nothing: RoomFindings = { problems: [], warnings: [] };

/** What a run's completions leave of the student's positions, whatever its prompts are: at least one token, or nothing can be done. */
export function positionProblems(checked: Run, student: StudentModel): Problem[] {
  const all = [writtenFor(checked, "data"), writtenFor(checked, "evaluation")].flatMap((written) => written ?? []);
  const once = new Map(all.map((written) => [written.field, written]));
  return [...once.values()].flatMap((written) => {
    const room = roomOf(checked, written);
    const most = student.maxPositions - room.replyTokens - 1;
    if (written.maxNewTokens <= most) return [];
    const way = most > 0 ? `set it to ${most} or less` : "lower environment.maxReplyTokens, or take a model with more positions";
    return [{ fieldPath: written.field, description: `${told(written)}, and ${holds(student, room)}: no prompt fits; ${way}` }];
  });
}

/** The rows that the student has room for. @param of what the rows are for */
export function fitting(checked: Run, of: "data" | "evaluation", rows: LookedAt, student: StudentModel): LookedAt {
  const room = roomOf(checked, writtenFor(checked, of));
  return { ...rows, items: rows.items.filter((item) => !outOf(item, room, student)) };
}

/** What of a dataset's rows the student has no room for. @param of what the rows are for */
export function roomFindings(checked: Run, of: "data" | "evaluation", rows: LookedAt, student: StudentModel): RoomFindings {
  const { run } = checked;
  const room = roomOf(checked, writtenFor(checked, of));
  const found = findings(rows, `${of}.path`, room, student);
  const holdOut = run.evaluation?.path ? 0 : (run.evaluation?.holdOut ?? 0);
  if (of === "evaluation" || holdOut === 0 || !rows.whole || found.problems.length) return found;
  return together(found, heldOutFindings(checked, fitting(checked, of, rows, student), holdOut, student));
}

/** What of the rows at a dataset's end, which are held out. */
function heldOutFindings(checked: Run, { items, path }: LookedAt, holdOut: number, student: StudentModel): RoomFindings {
  if (holdOut >= items.length) {
    const description = `is ${holdOut}, and ${counted(items.length, `row of ${path} fits`, `rows of ${path} fit`)} the student; leave some to train on`;
    return { problems: [{ fieldPath: "evaluation.holdOut", description }], warnings: [] };
  }
  const room = roomOf(checked, evaluatedTokens(checked.spec, checked.run));
  const held = { items: items.slice(-holdOut), whole: true, path: `the held-out part of ${path}` };
  return findings(held, "evaluation.holdOut", room, student);
}

const writtenFor = ({ spec, run }: Run, of: "data" | "evaluation"): NewTokens | undefined =>
  of === "data" ? sampledTokens(spec, run) : evaluatedTokens(spec, run);

const roomOf = ({ spec, run }: Run, written: NewTokens | undefined): Room => ({
  written,
  replyTokens: run.environment?.maxReplyTokens ?? 0,
  maxPromptTokens: spec.data.maxPromptTokens,
});

/** Why an item has no room. */
const outOf = (item: Item, { written, replyTokens, maxPromptTokens }: Room, { maxPositions }: StudentModel): string | undefined =>
  misfit(item, limitsOf(maxPromptTokens, maxPositions, (written?.maxNewTokens ?? 0) + replyTokens));

/** @param field of the spec that names the rows */
function findings({ items, whole, path }: LookedAt, field: string, room: Room, student: StudentModel): RoomFindings {
  const out = items.flatMap((item) => outOf(item, room, student) ?? []);
  if (out.length === 0) return nothing;
  const reasons = [...new Set(out)].join(", ");
  const { fieldPath, description } = out.every((reason) => reason === "empty prompt")
    ? { fieldPath: field, description: "has empty prompts; fill them in, or leave these rows out" }
    : wayOut(items, field, room, student);
  const never = room.replyTokens + (room.written?.maxNewTokens ?? 0) >= student.maxPositions;
  if (out.length === items.length && (whole || never)) {
    return { problems: [{ fieldPath, description: `${description}: no row of ${path} fits (${reasons})` }], warnings: [] };
  }
  const message = `${description}: ${out.length} of the ${whole ? "" : "first "}${items.length} rows of ${path} are left out (${reasons})`;
  return { problems: [], warnings: [{ field: fieldPath, message }] };
}

/** The field to change so that rows fit, and what it is. */
function wayOut(items: readonly Item[], field: string, room: Room, student: StudentModel): Problem {
  const { written, replyTokens, maxPromptTokens } = room;
  const lengths = items.map(({ promptIds, completionIds }) => ({ prompt: promptIds.length, completion: completionIds?.length ?? 0 }));
  const most = (of: (length: { prompt: number; completion: number }) => number) =>
    lengths.reduce((longest, length) => Math.max(longest, of(length)), 0);
  const longest = most(({ prompt }) => prompt);
  if (maxPromptTokens && longest > maxPromptTokens && maxPromptTokens <= student.maxPositions - replyTokens - (written?.maxNewTokens ?? 0))
    return {
      fieldPath: "data.maxPromptTokens",
      description: `is ${maxPromptTokens}, and prompts have up to ${longest} tokens; raise it, or shorten them`,
    };
  const left = student.maxPositions - replyTokens - longest;
  if (written && written.maxNewTokens > left) {
    const way = left > 0 ? `lower it (with ${left} all prompts fit)` : "shorten the prompts, or take a model with more positions";
    return {
      fieldPath: written.field,
      description: `${told(written)}, ${holds(student, room)}, and prompts have up to ${longest} tokens; ${way}`,
    };
  }
  const both = most(({ prompt, completion }) => prompt + completion);
  const description = `has prompts with their completions of up to ${both} tokens, and ${holds(student, room)}; shorten them, or take a model with more positions`;
  return { fieldPath: field, description };
}

/** A length as a problem tells it. */
export const told = ({ maxNewTokens, given }: NewTokens): string => `is ${maxNewTokens}${given ? "" : ", the default"}`;

const holds = ({ name, maxPositions }: StudentModel, { replyTokens }: Room): string =>
  `${name} has ${maxPositions} positions${replyTokens ? `, of which environment.maxReplyTokens takes ${replyTokens}` : ""}`;
