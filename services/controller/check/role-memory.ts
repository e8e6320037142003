import { type Phase, type ResolvedRun, resolveLora } from "../../shared/flow/runs/resolve.js";
import { factorSpecs, loraOf } from "../../shared/ml/models/adapter/layers.js";
import type { ModelConfig } from "../../shared/ml/models/config/model-config.js";
import { freshConfig } from "../../shared/ml/models/fresh-config.js";
import type { Lora } from "../../shared/ml/models/lora.js";
import { inferenceBytes, knownDtype, learnerBytes, microBatchTokensFor } from "../../shared/ml/models/memory-estimate.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import { elementsOf } from "../../shared/ml/models/param-spec.js";
import { parseConfig } from "../../shared/ml/models/parse-config.js";
import type { WeightDtype } from "../../shared/ml/models/precision/weight-dtypes.js";
import type { CheckedRun } from "./checked-run.js";

/** What a role of a run is expected to hold. */
export interface RoleMemory {
  readonly role: "learner" | "student" | "teacher";
  /** As it is called in a sentence. */
  readonly name: string;
  /** Which teacher; empty for any other role. */
  readonly teacher: string;
  readonly processes: number;
  readonly parameters: number;
  /** Of a learner: those that are trained; else 0. */
  readonly trained: number;
  /** What its weights are held in. */
  readonly dtype: WeightDtype;
  readonly device: string;
  /** Of each process. */
  readonly bytes: number;
}

/** The model that a run trains. */
export interface TrainedModel {
  readonly config: ModelConfig;
  /** The adapter that is trained instead of the weights. */
  readonly lora: Lora | undefined;
  readonly parameters: number;
  /** How many of them, or of its adapter's, are trained. */
  readonly trained: number;
}

/** The model that a run trains, one from scratch among them. */
export function trainedModelOf({ spec, student }: CheckedRun): TrainedModel {
  const { init, lora: asked } = spec.student;
  const config = student.config ?? parseConfig({ ...(init && freshConfig(init)), vocab_size: student.rows }, {}, "student.init");
  const choice = resolveLora(asked);
  const lora = choice ? loraOf(config, choice) : student.lora;
  const parameters = parameterCount(config);
  return { config, lora, parameters, trained: lora ? elementsOf(factorSpecs(config, lora)) : parameters };
}

/**
 * What the roles of a run are expected to hold, the learner first: prompts count as as long as completions. Classifiers, and teachers
 * on servers elsewhere, are left out.
 */
export function memoryOf(checked: CheckedRun): RoleMemory[] {
  const { spec, run, student, teachers } = checked;
  const { config, lora, parameters, trained } = trainedModelOf(checked);
  const { replicas } = run;
  const base = knownDtype(spec.roles?.learner?.dtype || student.dtype);
  const loads = run.phases.map((phase) => learnerBytes(config, { ...loadOf(phase, run, config), lora, baseDtype: base }));
  const own = knownDtype(spec.roles?.student?.dtype);
  const common = { teacher: "", parameters, trained: 0 };
  const on = (role: RoleMemory["role"]) => ({ role, processes: replicas[role], device: spec.roles?.[role]?.device || "cpu" });
  return [
    { ...common, ...on("learner"), name: "the learner", trained, dtype: lora ? base : "float32", bytes: Math.max(...loads) },
    { ...common, ...on("student"), name: "the student", dtype: own, bytes: inferenceBytes(parameters, config.vocabSize, own) },
    ...teachers.flatMap(({ name, teacher = "", parameters: all, rows, dtype: its }): RoleMemory[] => {
      if (!all) return [];
      const dtype = knownDtype(spec.roles?.teacher?.dtype || its);
      return [{ ...on("teacher"), name, teacher, parameters: all, trained: 0, dtype, bytes: inferenceBytes(all, rows, dtype) }];
    }),
  ];
}

/** What the roles hold of the memory of a machine that they share: those on a device have that device's. */
export const sharedBytes = (roles: readonly RoleMemory[]): number =>
  roles.reduce((sum, { processes, bytes, device }) => sum + (device === "cpu" ? processes * bytes : 0), 0);

/** Tokens that a phase's longest sequence is taken to have. */
export const longestSequence = ({ sampling }: Phase, { environment }: ResolvedRun, { maxPositions }: ModelConfig): number =>
  Math.min(2 * sampling.maxNewTokens + (environment?.maxReplyTokens ?? 0), maxPositions);

/** The largest micro-batch that a phase may have. */
function loadOf(phase: Phase, run: ResolvedRun, config: ModelConfig) {
  const { batchSize, samplesPerPrompt, optimizer } = phase;
  const length = longestSequence(phase, run, config);
  const { gradientCheckpointing } = optimizer;
  const most = optimizer.microBatchTokens || microBatchTokensFor(config, length, gradientCheckpointing);
  return { tokens: Math.min(batchSize * samplesPerPrompt * length, Math.max(most, length)), length, gradientCheckpointing };
}
