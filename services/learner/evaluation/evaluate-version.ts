import { RetortError } from "../../shared/base/errors.js";
import { purge } from "../../shared/base/streams/ensure.js";
import type { Item } from "../../shared/codec/examples.js";
import { wholeDistribution } from "../../shared/codec/signal-spec.js";
import { promptsPerMessage, type RecordSize } from "../../shared/codec/task-capacity.js";
import type { EvaluationSettings } from "../../shared/flow/runs/evaluation.js";
import { phaseOf } from "../../shared/flow/runs/resolve.js";
import { streamNames } from "../../shared/flow/streams.js";
import { stepToken, subjects } from "../../shared/flow/subjects.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import type { Signal } from "../../shared/ml/signals/score.js";
import { signals } from "../../shared/ml/signals/table.js";
import { type RunContext, waitFor } from "../context/run-context.js";
import { issueWriting } from "../tasks/issue.js";
import type { PlannedTask } from "../tasks/planned-task.js";
import { type EvaluationFigures, evaluationFigures } from "./evaluation-figures.js";

/** Which version is measured, and on what. */
export interface EvaluationRequest {
  readonly version: number;
  /** The learner's fence; results of an earlier one have been purged. */
  readonly attempt: number;
  readonly items: readonly Item[];
  readonly settings: EvaluationSettings;
  readonly recordSize: RecordSize;
}

/** Most prompts of one evaluation task. */
const mostPrompts = 256;
/** Classes of the teacher's answer where whole distributions are too large, and how many must fit a message not to be. */
const topClasses = 64;
const promptsWorthFull = 8;

/** The teacher's answer to ask for, and how many prompts a task may have so that it fits a message. */
export function evaluationSignal(samples: number, maxNewTokens: number, size: Pick<RecordSize, "vocabSize" | "maxPayloadBytes">) {
  const capacity = ({ kind, k }: Signal) => {
    const perToken = signals[kind].bytesPerToken({ k }, { vocab: size.vocabSize, hidden: 0 });
    return promptsPerMessage(samples * maxNewTokens * perToken, size);
  };
  const whole = capacity(wholeDistribution);
  if (whole >= promptsWorthFull) return { signal: wholeDistribution, capacity: whole };
  const top: Signal = { kind: "top_k", k: Math.min(topClasses, size.vocabSize), temperature: 1 };
  const capped = capacity(top);
  if (capped >= 1) return { signal: top, capacity: capped };
  throw new RetortError(
    "InvalidArgument",
    `the scores of one prompt's ${samples} samples of up to ${maxNewTokens} tokens do not fit NATS's max_payload of ${size.maxPayloadBytes} bytes; lower evaluation.samplesPerPrompt or evaluation.maxNewTokens`,
    { fieldPath: "evaluation.samplesPerPrompt" },
  );
}

/**
 * Measures one policy version: the students complete the held-out prompts greedily and at each temperature, the teachers
 * and the reward role judge the samples, and their records become figures.
 *
 * @returns undefined if the run is to stop meanwhile
 */
export async function evaluateVersion(context: RunContext, request: EvaluationRequest): Promise<EvaluationFigures | undefined> {
  const { membership, results } = context;
  const { run, spec, runId, streams } = membership;
  const { version, items, settings } = request;
  const started = performance.now();
  const phase = phaseOf(run, Math.max(1, version));
  const maxNewTokens = settings.maxNewTokens || phase.sampling.maxNewTokens;
  const { signal, capacity } = evaluationSignal(settings.samplesPerPrompt, maxNewTokens, request.recordSize);
  const common = {
    purpose: Purpose.EVALUATE,
    step: version,
    attempt: request.attempt,
    items,
    sampler: "",
    promptsPerTask: Math.min(mostPrompts, capacity, Math.ceil(items.length / run.replicas.student)),
    signal,
    rewarded: spec.rewards.length > 0,
  } as const;
  const plain = { topK: 0, topP: 1, maxNewTokens };
  const sets = [
    { sampling: { ...plain, temperature: 0 }, samplesPerPrompt: 1, scored: false },
    ...settings.temperatures.map((temperature) => ({
      sampling: { ...plain, temperature },
      samplesPerPrompt: settings.samplesPerPrompt,
      scored: run.teachers.length > 0,
    })),
  ];
  const planned: PlannedTask[] = [];
  const ends: number[] = [];
  for (const set of sets) {
    planned.push(...(await issueWriting(membership, { ...common, ...set, firstTask: planned.length })));
    ends.push(planned.length);
  }
  const token = stepToken(common);
  const found = await waitFor(context, token, planned);
  if (!found) return undefined;
  const [greedy, ...sampled] = ends.map((end, i) => found.slice(ends[i - 1] ?? 0, end));
  const figures = await evaluationFigures(context.host, greedy!, sampled, settings);
  results.forget(token);
  await purge(streams, streamNames.results, subjects.results(runId, common));
  return { ...figures, version, seconds: (performance.now() - started) / 1000 };
}
