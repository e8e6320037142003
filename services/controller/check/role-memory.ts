import { type Phase, type ResolvedRun, resolveLora } from "../../shared/flow/runs/resolve.js";
import { factorSpecs, loraOf } from "../../shared/ml/models/adapter/layers.js";
import type { ModelConfig } from "../../shared/ml/models/config/model-config.js";
import { freshConfig } from "../../shared/ml/models/fresh-config.js";
import { fusedObstacle } from "../../shared/ml/models/fused-states.js";
import type { Lora } from "../../shared/ml/models/lora.js";
import { cacheBytes, inferenceBytes, knownDtype, learnerBytes, microBatchTokensFor } from "../../shared/ml/models/memory-estimate.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import { elementsOf } from "../../shared/ml/models/param-spec.js";
import { parseConfig } from "../../shared/ml/models/parse-config.js";
import type { WeightDtype } from "../../shared/ml/models/precision/weight-dtypes.js";
import { mostKeptBytes } from "../../shared/ml/sampling/kept-rows.js";
import { usualRows } from "../../shared/ml/sampling/usual-rows.js";
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
  const averaged = run.follow?.decay !== undefined;
  const loads = run.phases.map((phase) => learnerBytes(config, { ...loadOf(phase, run, config), lora, baseDtype: base, averaged }));
  const own = knownDtype(spec.roles?.student?.dtype);
  const common = { teacher: "", parameters, trained: 0 };
  const on = (role: RoleMemory["role"]) => ({ role, processes: replicas[role], device: spec.roles?.[role]?.device || "cpu" });
  const isOnGpu = (role: RoleMemory["role"]) => on(role).device !== "cpu";
  // On a CPU only conversations are kept, between their turns.
  const kept = run.environment ? Math.min(mostKeptBytes, cachesOf(run, config, "float32")) : 0;
  const caches = isOnGpu("student") ? cachesOf(run, config, own) : kept;
  const studentBytes = inferenceBytes(parameters, config.vocabSize, own, isOnGpu("student")) + caches;
  return [
    { ...common, ...on("learner"), name: "the learner", trained, dtype: lora ? base : "float32", bytes: Math.max(...loads) },
    { ...common, ...on("student"), name: "the student", dtype: own, bytes: studentBytes },
    ...teachers.flatMap(({ name, teacher = "", parameters: all, rows, dtype: its }): RoleMemory[] => {
      if (!all) return [];
      // What a learner publishes is float32.
      const stored = run.follow?.teachers.includes(teacher) ? "float32" : its;
      const dtype = knownDtype(spec.roles?.teacher?.dtype || stored);
      return [
        {
          ...on("teacher"),
          name,
          teacher,
          parameters: all,
          trained: 0,
          dtype,
          bytes: inferenceBytes(all, rows, dtype, isOnGpu("teacher")),
        },
      ];
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
  const { gradientCheckpointing, computeDtype } = optimizer;
  const halfProducts = computeDtype !== "float32";
  const most = optimizer.microBatchTokens || microBatchTokensFor(config, length, gradientCheckpointing, halfProducts);
  return { tokens: Math.min(batchSize * samplesPerPrompt * length, Math.max(most, length)), length, gradientCheckpointing, halfProducts };
}

/** What a student keeps of what it has read. */
function cachesOf(run: ResolvedRun, config: ModelConfig, held: WeightDtype): number {
  const dtype = held === "float16" && !fusedObstacle(config) ? "float16" : "float32";
  const each = run.phases.map((phase) => {
    const rows = Math.min(usualRows, phase.batchSize * phase.samplesPerPrompt);
    return cacheBytes(config, { rows, length: longestSequence(phase, run, config), dtype });
  });
  return Math.max(...each);
}
