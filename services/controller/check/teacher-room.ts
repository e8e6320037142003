import { evaluatedTokens, type NewTokens, sampledTokens, writtenTokens } from "../../shared/flow/runs/new-tokens.js";
import { needsScore, teacherName } from "../../shared/flow/runs/resolve.js";
import { type TeacherPromptSettings, teacherPromptsOf } from "../../shared/flow/runs/teacher-prompts.js";
import type { CheckedRun } from "./checked-run.js";
import type { NamedModel } from "./named-model.js";
import { type LookedAt, nothing, type RoomFindings, together, told } from "./room-problems.js";

type Run = Pick<CheckedRun, "spec" | "run">;

/** What a teacher does behind prompts, and how much. */
interface Work {
  readonly teacher: TeacherPromptSettings;
  readonly model: NamedModel & { readonly maxPositions: number };
  /** Of the rows, those that it reads: how many tokens the prompt has, and a completion that is there already. */
  readonly lengths: readonly { readonly prompt: number; readonly completion: number }[];
  readonly rows: LookedAt;
}

/**
 * What of a dataset's rows the teachers have no room for: to score behind them, and to write.
 *
 * @param of what the rows are for
 * @param rows those that the student has room for
 * @param models the teachers' that are known
 */
export function teacherRoom(checked: Run, of: "data" | "evaluation", rows: LookedAt, models: readonly NamedModel[]): RoomFindings {
  const { spec, run } = checked;
  const scored = of === "evaluation" || run.phases.some(({ objective }) => needsScore(objective));
  const sampled = of === "evaluation" ? evaluatedTokens(spec, run) : sampledTokens(spec, run);
  const written = of === "data" ? writtenTokens(spec, run) : run.evaluation?.headroom ? evaluatedTokens(spec, run) : undefined;
  const writer = of === "data" ? teacherName(spec.data.generate?.teacher || (run.teachers[0] ?? "")) : undefined;
  return together(
    ...teacherPromptsOf(spec).flatMap((teacher, i) =>
      modelsOf(teacher, models).flatMap((model) => {
        const all = { teacher, model, rows };
        const read = lengthsOf(rows, (named) => (named ? named === teacher.name : i === 0));
        const writes = written && (writer === undefined || writer === teacher.name);
        const ofWriter = writer === undefined ? read : lengthsOf(rows, () => true);
        return [
          ...(scored ? [scoringFindings({ ...all, lengths: read }, sampled)] : []),
          ...(writes ? [writingFindings({ ...all, lengths: ofWriter }, written)] : []),
        ];
      }),
    ),
  );
}

/** The model of a teacher and those that are mixed with it, as far as it is known how many positions each has. */
const modelsOf = ({ field }: TeacherPromptSettings, models: readonly NamedModel[]) =>
  models.flatMap((model) =>
    model.maxPositions && (model.field === `${field}.model` || model.field.startsWith(`${field}.ensemble[`))
      ? [{ ...model, maxPositions: model.maxPositions }]
      : [],
  );

const lengthsOf = ({ items }: LookedAt, reads: (teacher: string) => boolean): Work["lengths"] =>
  items
    .filter(({ teacher }) => reads(teacher))
    .map(({ promptIds, teacherPromptIds, completionIds }) => ({
      prompt: (teacherPromptIds ?? promptIds).length,
      completion: completionIds?.length ?? 0,
    }));

/** A teacher reads a prompt with its completion, whose last token it needn't read. */
function scoringFindings(work: Work, sampled: NewTokens | undefined): RoomFindings {
  const { model, lengths, rows, teacher } = work;
  // How many tokens a completion is to a teacher with its own is seen when there is one.
  const counts = teacher.tokenizer !== "own";
  const most = counts ? (sampled?.maxNewTokens ?? 0) : 1;
  if (rows.whole && lengths.length && lengths.every(({ prompt }) => prompt > model.maxPositions)) {
    const description = `${has(work)}: ${prompts(work)} with any completion are longer in all ${lengths.length} rows that it scores; ${shorten(work)}`;
    return { problems: [{ fieldPath: fieldOf(work), description }], warnings: [] };
  }
  const long = lengths.filter(({ prompt, completion }) => prompt + Math.max(most, counts ? completion : 0) > model.maxPositions);
  if (long.length === 0) return nothing;
  const message = `${has(work)}: ${prompts(work)} leaves no room for ${most} completion tokens in ${long.length} of the first ${rows.items.length} rows, and completions that are too long go unscored; shorten the prompt${sampled ? `, or lower ${sampled.field}` : ""}`;
  return { problems: [], warnings: [{ field: teacher.field, message }] };
}

/** A teacher that writes must have room for the longest completion. */
function writingFindings(work: Work, written: NewTokens): RoomFindings {
  const { maxNewTokens, field } = written;
  const { model, lengths, rows } = work;
  const long = lengths.filter(({ prompt }) => prompt + maxNewTokens > model.maxPositions);
  if (long.length === 0) return nothing;
  const longest = lengths.reduce((most, { prompt }) => Math.max(most, prompt), 0);
  const left = model.maxPositions - longest;
  const way = left > 0 ? `lower it (with ${left} all prompts fit)` : shorten(work);
  const about = `${told(written)}, and ${has(work)}, which can't write so much behind`;
  if (long.length === lengths.length && rows.whole)
    return { problems: [{ fieldPath: field, description: `${about} any of its prompts; ${way}` }], warnings: [] };
  return { problems: [], warnings: [{ field, message: `${about} ${long.length} of the first ${rows.items.length} prompts; ${way}` }] };
}

const isOwn = ({ rows }: Work): boolean => rows.items.some(({ teacherPromptIds }) => teacherPromptIds);

const fieldOf = (work: Work): string => (isOwn(work) ? work.teacher.field : work.model.field);

const has = ({ model }: Work): string => `${model.name} has ${model.maxPositions} positions`;

const prompts = (work: Work): string => (isOwn(work) ? "its own prompt" : "the prompt");

const shorten = (work: Work): string =>
  `shorten ${isOwn(work) ? "the teacher's prompts" : "the prompts"}, or take a teacher with more positions`;
