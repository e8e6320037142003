import type { MessageInitShape } from "@bufbuild/protobuf";
import { sequenceBytes } from "../../shared/codec/task-capacity.js";
import { resolveCheckpoints } from "../../shared/flow/runs/checkpoints.js";
import { evaluatedTokens } from "../../shared/flow/runs/new-tokens.js";
import { needsReward, type Phase } from "../../shared/flow/runs/resolve.js";
import type {
  DiskEstimateSchema,
  EvaluationEstimateSchema,
  PhaseEstimateSchema,
  RunEstimateSchema,
} from "../../shared/gen/retort/v1/estimate_pb.js";
import { bytesOfWeights } from "../../shared/ml/models/memory-estimate.js";
import type { CheckedRun } from "./checked-run.js";
import { savingsOf } from "./memory-savings.js";
import { memoryOf, sharedBytes, trainedModelOf } from "./role-memory.js";

/** A RunEstimate that can be sent to another thread. */
export type EstimateInit = MessageInitShape<typeof RunEstimateSchema>;

/**
 * What a run is expected to take; the meaning of each figure is that of estimate.proto.
 *
 * @param checked settled: with the signals of its phases
 * @param memory bytes of the machine that its roles share; undefined where they share none
 */
export function estimateOf(checked: CheckedRun, memory: number | undefined): EstimateInit {
  const phases = checked.run.phases.map((phase) => phaseEstimate(checked, phase));
  // A step's tasks are issued when the version `maxStaleness` before its own is there.
  const together = Math.min(checked.run.totalSteps, checked.run.maxStaleness + 1);
  const roles = memoryOf(checked);
  return {
    roles: roles.map(({ name: _, parameters, trained, bytes, ...role }) => ({
      ...role,
      parameters: BigInt(parameters),
      trainedParameters: BigInt(trained),
      memoryBytes: whole(bytes),
    })),
    phases,
    ...evaluationEstimate(checked),
    disk: diskEstimate(checked),
    streamBytes: whole(together * Math.max(...phases.map(({ streamBytes }) => Number(streamBytes)))),
    memoryBytes: whole(sharedBytes(roles)),
    ...(memory !== undefined && { machineMemoryBytes: whole(memory) }),
    savings: savingsOf(checked).map(({ field, value, bytes }) => ({ field, value, savedBytes: whole(bytes) })),
  };
}

function phaseEstimate(checked: CheckedRun, phase: Phase): MessageInitShape<typeof PhaseEstimateSchema> {
  const { run, promptTokens } = checked;
  const { name, firstStep, lastStep, batchSize, samplesPerPrompt } = phase;
  const sequences = batchSize * samplesPerPrompt;
  const maxTokens = longestCompletion(phase);
  const size = { vocabSize: rowsOf(checked), hiddenSize: hiddenSizeOf(checked), maxTokens };
  const ownTokens = checked.teachers.some(({ ownTokenizer }) => ownTokenizer);
  const beside = { ownTokens, teacherPromptTokens: 0, replyTokens: run.environment?.maxReplyTokens ?? 0 };
  const { rollout, score } = sequenceBytes(phase, { ...size, ...beside });
  return {
    ...{ name, firstStep, lastStep, sequences },
    completionTokens: BigInt(sequences * maxTokens),
    ...(promptTokens !== undefined && { promptTokens: whole(sequences * promptTokens) }),
    // A rollout is a result, and goes to the teachers besides.
    streamBytes: whole(sequences * (2 * (rollout + 4 * (promptTokens ?? 0)) + score)),
  };
}

/** Tokens that a completion of a phase may have: what doesn't count isn't sampled where no reward reads it. */
function longestCompletion({ sampling: { maxNewTokens }, objective }: Phase): number {
  const { prefixTokens } = objective;
  return prefixTokens && !needsReward(objective) ? Math.min(maxNewTokens, prefixTokens) : maxNewTokens;
}

const rowsOf = ({ spec, student }: CheckedRun): number => spec.vocabSize || student.rows;

/** The widest hidden state that a teacher sends; an ensemble sends those of all its models. */
function hiddenSizeOf({ spec, teachers }: CheckedRun): number {
  const widths = spec.teachers.map((_, i) =>
    teachers.reduce((sum, { field, hiddenSize = 0 }) => sum + (field.startsWith(`teachers[${i}].`) ? hiddenSize : 0), 0),
  );
  return Math.max(0, ...widths);
}

function evaluationEstimate({ spec, run }: CheckedRun): {
  evaluation?: MessageInitShape<typeof EvaluationEstimateSchema>;
} {
  const { evaluation, totalSteps } = run;
  const longest = evaluatedTokens(spec, run);
  if (!evaluation || !longest) return {};
  const { everySteps, holdOut, limit, samplesPerPrompt, temperatures } = evaluation;
  const completions = (holdOut || limit) * (1 + samplesPerPrompt * temperatures.length);
  return {
    evaluation: {
      evaluations: 2 + (everySteps ? Math.ceil(totalSteps / everySteps) - 1 : 0),
      completions: BigInt(completions),
      completionTokens: BigInt(completions * longest.maxNewTokens),
    },
  };
}

function diskEstimate(checked: CheckedRun): MessageInitShape<typeof DiskEstimateSchema> {
  const { spec, run, student } = checked;
  const { lora, parameters, trained } = trainedModelOf(checked);
  const weights = bytesOfWeights(trained, "float32");
  const averages = run.follow?.decay === undefined ? 0 : 1;
  const version = (1 + averages) * weights;
  const first = lora ? version + bytesOfWeights(parameters, student.dtype) : version;
  const { everySteps = 1 } = run.follow ?? {};
  // Those that a teacher still has.
  const followed = everySteps > 1 ? 1 + Math.ceil(run.maxStaleness / everySteps) : 0;
  // Beside those that tasks may still ask for there is the one that is being written.
  const versions = Math.min(run.totalSteps, run.maxStaleness + 3 + followed);
  // Weights and two moments; their average; the version that a teacher has.
  const checkpoint = (3 + averages + (everySteps > 1 ? 1 : 0)) * weights;
  const checkpoints = resolveCheckpoints(spec.checkpoints).keep + 1 + (run.evaluation?.keepBest ? 2 : 0);
  return {
    versionBytes: whole(version),
    versions,
    firstVersionBytes: whole(first),
    checkpointBytes: whole(checkpoint),
    checkpoints,
    outputBytes: whole(weights),
    totalBytes: whole(first + versions * version + checkpoints * checkpoint + weights),
  };
}

const whole = (bytes: number): bigint => BigInt(Math.round(bytes));
