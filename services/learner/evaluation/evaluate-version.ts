import { counted } from "../../shared/base/counted.js";
import { RetortError } from "../../shared/base/errors.js";
import { purge } from "../../shared/base/streams/ensure.js";
import type { Item } from "../../shared/codec/examples.js";
import { wholeDistribution } from "../../shared/codec/signal-spec.js";
import { besideBytes, promptsPerMessage, type RecordSize, rolloutBytesPerToken } from "../../shared/codec/task-capacity.js";
import { recordedRows } from "../../shared/flow/prompts/plan.js";
import type { EvaluationSettings } from "../../shared/flow/runs/evaluation.js";
import { firstOf } from "../../shared/flow/runs/events.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import { phaseOf } from "../../shared/flow/runs/resolve.js";
import { streamNames } from "../../shared/flow/streams.js";
import { stepToken, subjects } from "../../shared/flow/subjects.js";
import { Work } from "../../shared/gen/retort/v1/events_pb.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import type { Signal } from "../../shared/ml/signals/score.js";
import { signals } from "../../shared/ml/signals/table.js";
import type { RunContext } from "../context/run-context.js";
import { waitForResults } from "../context/wait-for-results.js";
import { issueWriting, type WriteRequest } from "../tasks/issue-writing.js";
import type { PlannedTask } from "../tasks/planned-task.js";
import { type EvaluationFigures, type EvaluationTeachers, evaluationFigures } from "./evaluation-figures.js";
import { answersOf, issueAnswers, scorerOf } from "./teacher-answers.js";

/** Which version is measured, and on what. */
export interface EvaluationRequest {
  readonly version: number;
  /** The learner's fence; results of an earlier one have been purged. */
  readonly attempt: number;
  readonly items: readonly Item[];
  readonly settings: EvaluationSettings;
  readonly recordSize: RecordSize;
  /** The step behind which the learner goes on. */
  readonly fromStep: number;
}

/** Most prompts of an evaluation that are written together. */
const mostPrompts = 256;
/** Classes of the teacher's answer where whole distributions are too large, and how many must fit a message not to be. */
const topClasses = 64;
const promptsWorthFull = 8;

/**
 * The teacher's answer to ask for, and how many prompts a task may have so that it fits a message.
 *
 * @param largestK most classes that every teacher gives; by default all, and whole distributions
 */
export function evaluationSignal(
  samples: number,
  maxNewTokens: number,
  size: Pick<RecordSize, "vocabSize" | "maxPayloadBytes" | "teacherPromptTokens" | "replyTokens">,
  largestK?: number,
) {
  const capacity = ({ kind, k }: Signal) => {
    const perToken = signals[kind].bytesPerToken({ k }, { vocab: size.vocabSize, hidden: 0 });
    const rollout = maxNewTokens * rolloutBytesPerToken + besideBytes(size);
    return promptsPerMessage(samples * Math.max(maxNewTokens * perToken, rollout), size);
  };
  const whole = capacity(wholeDistribution);
  if (largestK === undefined && whole >= promptsWorthFull) return { signal: wholeDistribution, capacity: whole };
  const top: Signal = { kind: "top_k", k: Math.min(topClasses, size.vocabSize, largestK || topClasses), temperature: 1 };
  const capped = capacity(top);
  if (capped >= 1) return { signal: top, capacity: capped };
  throw new RetortError(
    "InvalidArgument",
    `the scores of one prompt's ${counted(samples, "sample")} of up to ${maxNewTokens} tokens do not fit NATS's max_payload of ${size.maxPayloadBytes} bytes; lower evaluation.samplesPerPrompt or evaluation.maxNewTokens`,
    { fieldPath: "evaluation.samplesPerPrompt" },
  );
}

/** Completions of all held-out prompts that are sampled alike. */
type SampleSet = Pick<WriteRequest, "sampling" | "samplesPerPrompt" | "signal">;

/**
 * Measures one policy version: the students complete the held-out prompts greedily and at each temperature, the teachers
 * and the reward role judge the samples, and their records become figures.
 *
 * @returns undefined if the run is to stop meanwhile
 */
export async function evaluateVersion(context: RunContext, request: EvaluationRequest): Promise<EvaluationFigures | undefined> {
  const { membership, host } = context;
  const { runId, streams } = membership;
  const { version, attempt, settings } = request;
  const startedMs = performance.now();
  const { greedy, drawn, answers, planned } = await issueSets(membership, request);
  const key = { purpose: Purpose.EVALUATE as const, step: version, attempt };
  const token = stepToken(key);
  const results = await membership.process.during(Work.EVALUATING, `version ${version}`, version, (tell) =>
    waitForResults(context, token, planned, (settled, tasks) => tell(settled, tasks)),
  );
  if (!results) return undefined;
  const own = answers && (await answersOf(context, answers));
  if (answers && !own) return undefined;
  const part = ({ from, to }: Part) => results.slice(from, to);
  const sets = { greedy: part(greedy), drawn: drawn.map(part), own };
  const figures = await evaluationFigures(host, sets, settings, {
    shown: recordedRows(membership.run, request.items.length),
    teachers: await teachersOf(membership, request),
  });
  context.results.forget(token);
  await purge(streams, streamNames.results, subjects.results(runId, key));
  return { ...figures, version, seconds: (performance.now() - startedMs) / 1000 };
}

/** By which teachers an evaluation is told apart; undefined where one scores everything and is not measured itself. */
async function teachersOf(
  { run, streams, runId }: Membership,
  { version, items, settings }: EvaluationRequest,
): Promise<EvaluationTeachers | undefined> {
  const { teachers: names } = run;
  if (names.length < 2 && !settings.headroom) return undefined;
  const start = version > 0 ? (await firstOf(streams, runId, "evaluationFinished"))?.value : undefined;
  return { names, of: (row) => scorerOf(items, names, row), start };
}

/** The tasks of one set of samples: from a number up to, without, another. */
interface Part {
  readonly from: number;
  readonly to: number;
}

/** Hands out every set of samples, the greedy one first, before the first step also what the teachers are to write themselves. */
async function issueSets(membership: Membership, request: EvaluationRequest) {
  const { run, spec } = membership;
  const { version, attempt, items, settings } = request;
  const maxNewTokens = settings.maxNewTokens || phaseOf(run, Math.max(1, version)).sampling.maxNewTokens;
  // One with its own tokenizer is asked for the given tokens' log-probabilities alone.
  const servers = spec.teachers.flatMap(({ server, tokenizer }) => (server && tokenizer !== "own" ? server : []));
  const largestK = servers.length > 0 ? Math.min(...servers.map(({ maxLogprobs }) => maxLogprobs)) : undefined;
  const { signal, capacity } = evaluationSignal(settings.samplesPerPrompt, maxNewTokens, request.recordSize, largestK);
  const promptsTogether = Math.min(mostPrompts, Math.ceil(items.length / run.replicas.student));
  const planned: PlannedTask[] = [];
  const issue = async (set: SampleSet): Promise<Part> => {
    const from = planned.length;
    const tasks = await issueWriting(membership, {
      ...set,
      ...{ purpose: Purpose.EVALUATE, step: version, attempt, items, sampler: "", firstTask: from },
      rewarded: spec.rewards.length > 0,
      // As for the version's next step.
      taught: { step: version + 1, fromStep: request.fromStep },
      promptsPerTask: Math.min(capacity, promptsTogether),
      promptsTogether,
    });
    planned.push(...tasks);
    return { from, to: planned.length };
  };
  const plain = { topK: 0, topP: 1, maxNewTokens };
  const mostLikely = { ...plain, temperature: 0 };
  const answers = settings.headroom && version === 0 ? await issueAnswers(membership, items, mostLikely) : undefined;
  const greedy = await issue({ sampling: mostLikely, samplesPerPrompt: 1, signal: undefined });
  const drawn: Part[] = [];
  // Without classes there is no distribution to compare with.
  const asked = run.teachers.length > 0 && largestK !== 0 ? signal : undefined;
  for (const temperature of settings.temperatures)
    drawn.push(await issue({ sampling: { ...plain, temperature }, samplesPerPrompt: settings.samplesPerPrompt, signal: asked }));
  return { greedy, drawn, answers, planned };
}
