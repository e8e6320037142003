import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import type { Item } from "../../shared/codec/examples.js";
import { sequenceTokens } from "../../shared/codec/train-sequence.js";
import { resolveSampling, teacherName } from "../../shared/flow/runs/resolve.js";
import { stepToken } from "../../shared/flow/subjects.js";
import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import type { GenerateSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { RunContext } from "../context/run-context.js";
import { waitForResults } from "../context/wait-for-results.js";
import type { StudentDescription } from "../model/train-host.js";
import { issueWriting, type WriteRequest } from "../tasks/issue-writing.js";
import { type Dataset, type DatasetLimits, fitting } from "./dataset.js";

/** Prompts of one dataset-writing task. */
const writingTaskSize = 32;

/**
 * Has a teacher complete the dataset's prompts, or write whole texts whose beginnings become prompts.
 *
 * @param read the dataset, where the run has one
 * @returns undefined if the run is to stop meanwhile
 */
export async function writeTexts(
  context: RunContext,
  generate: GenerateSpec,
  read: Dataset | undefined,
  student: Pick<StudentDescription, "bosId">,
  limits: DatasetLimits,
): Promise<Dataset | undefined> {
  const { membership, progress, host } = context;
  const items = read?.items ?? Array.from({ length: generate.texts }, () => blankItem(student));
  progress.doing(0, `the teacher writes ${counted(items.length, "text")}`);
  const request = requestFor(context, generate, items);
  const planned = await issueWriting(membership, request);
  const found = await membership.process.during(Work.WAITING, "the dataset's texts", (tell) =>
    waitForResults(context, stepToken(request), planned, (settled, tasks) => tell(settled, tasks)),
  );
  if (!found) return undefined;
  const sequences = found.flatMap(({ rollout }) => rollout.sequences.filter(({ failure }) => !failure));
  const written = sequences.map((sequence) => {
    const { promptIds, completionIds } = sequenceTokens(sequence);
    return read ? { ...items[sequence.index]!, completionIds } : cut(promptIds, completionIds, generate.promptTokens || 16);
  });
  const texts = read ? undefined : await host.decode(written.map(({ promptIds }) => promptIds));
  const named = texts ? written.map((item, i) => ({ ...item, promptText: texts[i]! })) : written;
  return fitting(named, 0, limits, "the written texts");
}

function requestFor({ membership: { run } }: RunContext, { teacher, sampling }: GenerateSpec, items: readonly Item[]): WriteRequest {
  return {
    purpose: Purpose.DATASET,
    step: 0,
    attempt: 1,
    items,
    sampling: sampling ? resolveSampling(sampling) : { ...run.phases[0]!.sampling, temperature: 1 },
    samplesPerPrompt: 1,
    sampler: teacherName(teacher || run.teachers[0]!),
    signal: undefined,
    rewarded: false,
    firstTask: 0,
    promptsPerTask: writingTaskSize,
    promptsTogether: writingTaskSize,
  };
}

/** The start token alone, as the prompt of a whole text. @throws InvalidArgument if the tokenizer has none */
function blankItem({ bosId }: Pick<StudentDescription, "bosId">): Item {
  if (bosId === undefined)
    throw new RetortError(
      "InvalidArgument",
      "the student's tokenizer has no start token to write texts from; give data.path with prompts",
      { fieldPath: "data.generate" },
    );
  return { promptIds: Int32Array.of(bosId), promptText: "", completionIds: undefined, reference: "", teacher: "" };
}

/** A text's first tokens as the prompt, the rest as its completion. A text that is shorter keeps one token to complete. */
function cut(start: Int32Array, text: Int32Array, promptTokens: number): Item {
  const at = Math.min(promptTokens - start.length, text.length - 1);
  const promptIds = new Int32Array(start.length + at);
  promptIds.set(start);
  promptIds.set(text.subarray(0, at), start.length);
  return { promptIds, promptText: "", completionIds: text.slice(at), reference: "", teacher: "" };
}
