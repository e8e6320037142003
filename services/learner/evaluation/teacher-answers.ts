import { found } from "../../shared/base/found.js";
import type { Item } from "../../shared/codec/examples.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import type { SamplingSettings } from "../../shared/flow/runs/resolve.js";
import { stepToken } from "../../shared/flow/subjects.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import type { RunContext } from "../context/run-context.js";
import { waitForResults } from "../context/wait-for-results.js";
import { issueWriting } from "../tasks/issue-writing.js";
import type { PlannedTask } from "../tasks/planned-task.js";
import type { CompleteResults } from "../tasks/results-reader.js";

/** What the teachers write of the held-out prompts: once, and kept for the next learner, as a dataset's texts are. */
const key = { purpose: Purpose.DATASET as const, step: 1, attempt: 1 };

/** Prompts of one task. */
const taskSize = 32;

/** Who scores a row: the teacher that it names, or the first. */
export const scorerOf = (items: readonly Item[], teachers: readonly string[], row: number): string =>
  items[row]?.teacher || found(teachers[0], "the run's first teacher");

/** Tasks by the teacher that writes them, in order. */
export type IssuedAnswers = readonly { readonly teacher: string; readonly planned: readonly PlannedTask[] }[];

/** Has each teacher complete the prompts that it scores, greedily. */
export async function issueAnswers(membership: Membership, items: readonly Item[], sampling: SamplingSettings): Promise<IssuedAnswers> {
  const { run, spec } = membership;
  const issued: { teacher: string; planned: readonly PlannedTask[] }[] = [];
  let firstTask = 0;
  for (const teacher of run.teachers) {
    const rows = [...items.keys()].filter((row) => scorerOf(items, run.teachers, row) === teacher);
    if (rows.length === 0) continue;
    const planned = await issueWriting(membership, {
      ...{ ...key, items, rows, sampling, samplesPerPrompt: 1, sampler: teacher, signal: undefined, firstTask },
      rewarded: spec.rewards.length > 0,
      promptsPerTask: taskSize,
      promptsTogether: taskSize,
    });
    firstTask += planned.length;
    issued.push({ teacher, planned });
  }
  return issued;
}

/** What the teachers have written, by name; undefined if the run is to stop meanwhile. */
export async function answersOf(
  context: RunContext,
  issued: IssuedAnswers,
): Promise<ReadonlyMap<string, readonly CompleteResults[]> | undefined> {
  const planned = issued.flatMap((one) => one.planned);
  const results = await waitForResults(context, stepToken(key), planned, () => {});
  if (!results) return undefined;
  let from = 0;
  return new Map(
    issued.map((one) => {
      const own = results.slice(from, from + one.planned.length);
      from += one.planned.length;
      return [one.teacher, own] as const;
    }),
  );
}
