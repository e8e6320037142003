import { create } from "@bufbuild/protobuf";
import { counted } from "../../shared/base/counted.js";
import { sequenceTokens } from "../../shared/codec/train-sequence.js";
import { toFloat32, toInt32, toUint32 } from "../../shared/flow/arrays.js";
import {
  Purpose,
  type Rollout,
  RolloutSchema,
  type Sequence,
  type SignalSpec,
  Source,
  type TaskKey,
  type TeacherScore,
} from "../../shared/gen/retort/v1/flow_pb.js";
import { replyFault, replyTokens } from "../../shared/ml/models/architectures/sequence-inputs.js";
import type { CompleteResults, SettledResults } from "./results-reader.js";

/** A prompt as the learner sent it. */
export interface PlannedPrompt {
  /** Of the dataset. */
  readonly row: number;
  readonly ids: Int32Array;
  /** What the teacher reads instead, if it does. */
  readonly teacherPromptIds?: Int32Array | undefined;
  /** What ends a completion in the tokens of a teacher with its own. */
  readonly teacherEndId?: number | undefined;
  /** The completion that was sent with it, for dataset text. */
  readonly completionIds?: Int32Array;
}

/** A task as the learner issued it: what its rollout is held against. */
export interface PlannedTask {
  readonly key: Pick<TaskKey, "runId" | "purpose" | "step" | "task" | "attempt">;
  readonly prompts: readonly PlannedPrompt[];
  readonly samplesPerPrompt: number;
  readonly source: Source;
  readonly maxNewTokens: number;
  /** Most tokens of an environment's answers to a sample; 0 where none answers. */
  readonly maxReplyTokens: number;
  /** Policy versions that may have sampled its tokens. */
  readonly versions: { readonly min: number; readonly max: number };
  readonly teacher: string;
  /** The student's version that a teacher which follows it scores with. */
  readonly teacherVersion?: number;
  readonly signal: (Pick<SignalSpec, "kind" | "k"> & Partial<Pick<SignalSpec, "tokenizer">>) | undefined;
  readonly rewarded: boolean;
}

/**
 * Holds what arrived against what was asked, before it is used. What is not as asked has failed: a whole task, where its
 * rollout is another one's or cannot be read; else the sequences that are at fault.
 *
 * @param found one per task
 */
export function soundResults(found: readonly SettledResults[], planned: readonly PlannedTask[]): CompleteResults[] {
  return found.map((results, i) => {
    const task = planned[i]!;
    if (results.unreadable !== undefined) return failed(task, results.unreadable);
    const { rollout, score } = results;
    const fault = rolloutFault(rollout, task) ?? (score && scoreFault(score, task));
    if (fault) return failed(task, fault);
    const sequences = rollout.sequences.map((sequence) => ({
      ...sequence,
      failure: sequence.failure || sequenceFault(sequence, task) || "",
    }));
    return { ...results, rollout: { ...rollout, sequences } };
  });
}

const failed = (task: PlannedTask, fault: string): CompleteResults => ({
  rollout: failedRollout(task, `what came for the task cannot be used: ${fault}`),
});

/** Every sample of a task, failed. */
function failedRollout({ key, source, prompts, samplesPerPrompt }: PlannedTask, failure: string): Rollout {
  const sequences = prompts.flatMap(({ row }, prompt) =>
    Array.from({ length: samplesPerPrompt }, (_, sample) => ({ prompt, sample, index: row, failure })),
  );
  return create(RolloutSchema, { key, source, sequences });
}

/**
 * How a rollout differs from the task that was issued; undefined if it doesn't. Every sample must be there once, for the
 * prompt that was sent; what its tokens are made of is {@link sequenceFault}'s.
 */
export function rolloutFault(rollout: Rollout, planned: PlannedTask): string | undefined {
  const { key, sequences } = rollout;
  for (const name of ["runId", "purpose", "step", "task", "attempt"] as const)
    if (key?.[name] !== planned.key[name]) return `its key has ${name} ${key?.[name]}, and the task ${planned.key[name]}`;
  if (rollout.source !== planned.source) return `it comes from ${Source[rollout.source]}, and ${Source[planned.source]} was asked`;
  if (rollout.teacher !== planned.teacher) return `it names the teacher "${rollout.teacher}", and the task "${planned.teacher}"`;
  if (rollout.teacherVersion !== planned.teacherVersion)
    return `it asks for version ${rollout.teacherVersion} of the teacher, and the task for ${planned.teacherVersion}`;
  if (rollout.rewarded !== planned.rewarded) return `it ${rollout.rewarded ? "asks" : "does not ask"} for a reward, unlike the task`;
  if (rollout.signal?.kind !== planned.signal?.kind || (rollout.signal?.k ?? 0) !== (planned.signal?.k ?? 0))
    return `it asks for the signal ${rollout.signal?.kind} k=${rollout.signal?.k}, and the task for ${planned.signal?.kind} k=${planned.signal?.k}`;
  if ((rollout.signal?.tokenizer ?? "") !== (planned.signal?.tokenizer ?? ""))
    return `it asks for the tokenizer "${rollout.signal?.tokenizer}", and the task for "${planned.signal?.tokenizer}"`;
  const { prompts, samplesPerPrompt } = planned;
  if (sequences.length !== prompts.length * samplesPerPrompt)
    return `it has ${counted(sequences.length, "sequence")} for ${counted(prompts.length, "prompt")} with ${counted(samplesPerPrompt, "sample")} each`;
  for (const [i, { prompt, sample, index }] of sequences.entries()) {
    const [wantedPrompt, wantedSample] = [Math.floor(i / samplesPerPrompt), i % samplesPerPrompt];
    if (prompt !== wantedPrompt || sample !== wantedSample)
      return `sequence ${i} is sample ${sample} of prompt ${prompt}; sample ${wantedSample} of prompt ${wantedPrompt} belongs there`;
    if (planned.source !== Source.DATASET && index !== prompts[prompt]!.row)
      return `prompt ${prompt} is row ${index} of the dataset, and row ${prompts[prompt]!.row} was sent`;
  }
  return undefined;
}

/** How a score's weights differ from those that the task asked for; undefined if they don't, or nothing was scored with them. */
function scoreFault({ scores, teacherVersion }: TeacherScore, planned: PlannedTask): string | undefined {
  if (teacherVersion === planned.teacherVersion || scores.every(({ failure }) => failure)) return undefined;
  return `it was scored with version ${teacherVersion} of the student, and version ${planned.teacherVersion} was asked for; do all teachers of the run have the same version and settings?`;
}

/** What is wrong with one written sequence of a rollout that is otherwise as planned; undefined if nothing is. */
function sequenceFault(sequence: Sequence, planned: PlannedTask): string | undefined {
  const prompt = planned.prompts[sequence.prompt]!;
  try {
    if (!same(toInt32(sequence.promptIds, "promptIds"), prompt.ids)) return `prompt ${sequence.prompt} has other token ids than were sent`;
    if (!sameIfAny(sequence.teacherPromptIds, prompt.teacherPromptIds))
      return `prompt ${sequence.prompt} has other token ids for the teacher than were sent`;
    if (sequence.teacherEndId !== prompt.teacherEndId)
      return `prompt ${sequence.prompt} has the end token ${sequence.teacherEndId} for the teacher, and ${prompt.teacherEndId} was sent`;
    const ids = toInt32(sequence.completionIds, "completionIds");
    if (planned.source === Source.DATASET)
      return prompt.completionIds && same(ids, prompt.completionIds)
        ? undefined
        : `the completion of prompt ${sequence.prompt} is not the dataset's`;
    if (ids.length < 1 || ids.length > planned.maxNewTokens)
      return `a completion has ${counted(ids.length, "token")}; 1 to ${planned.maxNewTokens} were asked for`;
    if (ids.some((id) => id < 0)) return "a completion has a negative token id";
    const replies = repliesFault(sequence, planned);
    if (replies) return replies;
    return planned.source === Source.STUDENT ? sampledFault(sequence, ids.length, planned) : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function repliesFault(sequence: Sequence, { maxReplyTokens }: PlannedTask): string | undefined {
  const text = sequenceTokens(sequence);
  const [fault, tokens] = [replyFault(text), replyTokens(text)];
  if (fault) return fault;
  if (text.replies?.some(({ ids }) => ids.some((id) => id < 0))) return "a reply has a negative token id";
  return tokens > maxReplyTokens ? `its replies have ${counted(tokens, "token")}; at most ${maxReplyTokens} were asked for` : undefined;
}

function sampledFault(sequence: Sequence, tokens: number, { versions, signal, key }: PlannedTask): string | undefined {
  const logprobs = toFloat32(sequence.samplerLogprobs, "samplerLogprobs");
  const made = toUint32(sequence.policyVersions, "policyVersions");
  if (logprobs.length !== tokens || made.length !== tokens)
    return `${counted(tokens, "token has", "tokens have")} ${logprobs.length} samplerLogprobs and ${made.length} policyVersions`;
  const odd = logprobs.findIndex((value) => Number.isNaN(value) || value > 1e-3);
  if (odd >= 0) return `samplerLogprobs[${odd}] is ${logprobs[odd]}`;
  const late = made.find((version) => version < versions.min || version > versions.max);
  if (late !== undefined) return outsideBound(late, key, versions);
  if (signal?.kind !== "student_top_k") return undefined;
  const chosen = toInt32(sequence.studentTopIds, "studentTopIds").length;
  // Of a vocabulary with fewer than k classes, all are chosen.
  return chosen > 0 && chosen % tokens === 0 && chosen <= tokens * signal.k
    ? undefined
    : `studentTopIds has ${counted(chosen, "entry", "entries")} for ${counted(tokens, "token")}`;
}

const outsideBound = (version: number, { purpose, step }: PlannedTask["key"], { min, max }: PlannedTask["versions"]): string =>
  purpose === Purpose.TRAIN && version < min
    ? `sampled ${step - 1 - version} versions before its step; maxStaleness is ${step - 1 - min}`
    : `sampled with policy version ${version}; ${min} to ${max} were asked for`;

const same = (a: Int32Array, b: Int32Array): boolean => a.length === b.length && a.every((id, i) => id === b[i]);

const sameIfAny = (found: Sequence["teacherPromptIds"], sent: Int32Array | undefined): boolean =>
  found && sent ? same(toInt32(found, "teacherPromptIds"), sent) : !found && !sent;
