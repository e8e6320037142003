import { found } from "../../base/found.js";
import type { SamplingParams } from "../../gen/retort/v1/flow_pb.js";
import type {
  LoraSpec,
  ObjectiveSpec,
  OptimizerSpec,
  PhaseSpec,
  RoleSpec,
  RunSpec,
  TrackingSpec,
} from "../../gen/retort/v1/run_spec_pb.js";
import { type Closed, closedValue } from "./closed-value.js";
import { type EnvironmentSettings, resolveEnvironment } from "./environment.js";
import { type EvaluationSettings, resolveEvaluation } from "./evaluation.js";
import { type FollowSettings, resolveFollow } from "./follow.js";
import { presets } from "./presets.js";

/** A phase with every default and its preset filled in. */
export interface Phase {
  readonly name: string;
  /** First and last optimiser step, 1-based over the whole run. */
  readonly firstStep: number;
  readonly lastStep: number;
  readonly batchSize: number;
  readonly samplesPerPrompt: number;
  readonly lambda: number;
  readonly lambdaEnd: number;
  readonly objective: ObjectiveSettings;
  readonly optimizer: OptimizerSettings;
  readonly sampling: SamplingSettings;
}

/** What a phase minimises; the meaning and the default of each field are those of ObjectiveSpec in run_spec.proto. */
export interface ObjectiveSettings {
  readonly divergence: Closed<"ObjectiveSpec.divergence">;
  readonly beta: number;
  readonly skew: number;
  readonly weight: number;
  readonly alpha: number;
  readonly signal: Closed<"ObjectiveSpec.signal">;
  readonly k: number;
  readonly hiddenDtype: Closed<"ObjectiveSpec.hiddenDtype">;
  readonly headMass: number;
  readonly entropyThreshold: number;
  readonly forwardWeight: number;
  readonly studentTemperature: number;
  readonly teacherTemperature: number;
  readonly normalisation: Closed<"ObjectiveSpec.normalisation">;
  readonly balance: Closed<"ObjectiveSpec.balance">;
  readonly normalizeJsd: boolean;
  readonly baseline: Closed<"ObjectiveSpec.baseline">;
  readonly klCoef: number;
  readonly klBaseline: boolean;
  readonly lowProbability: number;
  readonly ratioClip: number;
  readonly temperatureSquared: boolean;
  /** 0: all completion tokens count. */
  readonly prefixTokens: number;
  /** undefined: all of them count. */
  readonly tokens: { readonly by: Closed<"TokenSelectionSpec.by">; readonly share: number } | undefined;
}

/** How a phase's steps are taken; as OptimizerSpec in run_spec.proto. */
export interface OptimizerSettings {
  readonly learningRate: number;
  readonly schedule: Closed<"OptimizerSpec.schedule">;
  readonly warmupSteps: number;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly maxGradNorm: number;
  /** 0: as the model needs memory for them. */
  readonly microBatchTokens: number;
  /** Layers are computed again for their gradients, to save memory. */
  readonly gradientCheckpointing: boolean;
  /** What matrix products are computed in. */
  readonly computeDtype: Closed<"OptimizerSpec.computeDtype">;
}

/** How completions are drawn; as SamplingParams in flow.proto. */
export interface SamplingSettings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly maxNewTokens: number;
  /** How many of the most probable tokens to report at each position; absent: none. */
  readonly topIds?: number;
}

/** A run with every default filled in. */
export interface ResolvedRun {
  readonly seed: bigint;
  readonly phases: readonly Phase[];
  readonly totalSteps: number;
  readonly maxStaleness: number;
  /** 0: derived from the batch and the replicas. */
  readonly promptsPerTask: number;
  readonly maxAttempts: number;
  readonly stepTimeoutMs: number;
  readonly teachers: readonly string[];
  /** How much each teacher counts, by name. */
  readonly teacherWeights: ReadonlyMap<string, number>;
  /** undefined where every teacher stays as it is. */
  readonly follow: FollowSettings | undefined;
  /** Those of them that read text in their own tokens. */
  readonly ownTokenizers: readonly string[];
  readonly replicas: Readonly<Record<RoleName, number>>;
  /** undefined if nothing is evaluated. */
  readonly evaluation: EvaluationSettings | undefined;
  readonly tracking: TrackingSettings;
  /** undefined where a completion is one turn. */
  readonly environment: EnvironmentSettings | undefined;
}

/** What is recorded of a run beside its figures; as TrackingSpec in run_spec.proto. */
export interface TrackingSettings {
  /** Sequences of a recorded step; 0 records none. */
  readonly samples: number;
  readonly everySteps: number;
  /** Held-out rows whose completions each evaluation keeps; 0 keeps none. */
  readonly examples: number;
  readonly tensorboard: boolean;
  readonly jsonl: boolean;
}

/** The roles whose processes a run has. */
export type RoleName = "student" | "teacher" | "reward" | "learner";

/** The parts of an objective that need a teacher's score. */
export const needsScore = ({ alpha, divergence }: ObjectiveSettings): boolean => alpha > 0 && !withoutTeacher.includes(divergence);

/** The objectives that compare with no teacher. */
const withoutTeacher: readonly ObjectiveSettings["divergence"][] = ["constant_advantage", "cross_entropy"];

/** True if rewards enter the objective. */
export const needsReward = ({ alpha }: ObjectiveSettings): boolean => alpha < 1;
/** The student's share of the steps, linear over the phase. */
export function lambdaAt(phase: Phase, step: number): number {
  const span = phase.lastStep - phase.firstStep;
  return span === 0 ? phase.lambda : phase.lambda + ((phase.lambdaEnd - phase.lambda) * (step - phase.firstStep)) / span;
}

/** The phase that a step belongs to. */
export const phaseOf = (run: ResolvedRun, step: number): Phase =>
  found(
    run.phases.find(({ lastStep }) => step <= lastStep),
    `the phase of step ${step}`,
  );

/** A teacher by the name that tasks and processes call it; the one without a name in the spec is `default`. */
export const teacherName = (name: string): string => name || "default";

/** Fills in defaults and presets. The spec must be valid. */
export function resolveRun(spec: RunSpec): ResolvedRun {
  const teachers = spec.teachers.map(({ name }) => teacherName(name));
  let last = 0;
  const phases = spec.phases.map((phase) => {
    const resolved = resolvePhase(phase, last + 1);
    last = resolved.lastStep;
    return resolved;
  });
  const { rollouts, roles } = spec;
  const evaluation = resolveEvaluation(spec.evaluation);
  // An evaluation reports the rewards too, whether or not a phase trains on them.
  const rewarded = phases.some(({ objective }) => needsReward(objective)) || (spec.rewards.length > 0 && evaluation !== undefined);
  const count = (role: RoleSpec | undefined) => role?.replicas || 1;
  return {
    seed: BigInt(spec.seed),
    phases,
    totalSteps: last,
    maxStaleness: rollouts?.maxStaleness ?? 1,
    promptsPerTask: rollouts?.promptsPerTask ?? 0,
    maxAttempts: rollouts?.maxAttempts || 3,
    stepTimeoutMs: rollouts?.stepTimeoutMs || 600_000,
    teachers,
    teacherWeights: new Map(spec.teachers.map(({ name, weight }) => [teacherName(name), weight ?? 1])),
    follow: resolveFollow(spec.teachers, teachers),
    ownTokenizers: spec.teachers.filter(({ tokenizer }) => tokenizer === "own").map(({ name }) => teacherName(name)),
    replicas: { student: count(roles?.student), teacher: count(roles?.teacher), reward: rewarded ? count(roles?.reward) : 0, learner: 1 },
    evaluation,
    tracking: resolveTracking(spec.tracking, last),
    environment: resolveEnvironment(spec.environment),
  };
}

/** Steps of a run that are recorded where the spec says nothing. */
const recordedSteps = 100;

const resolveTracking = (given: TrackingSpec | undefined, totalSteps: number): TrackingSettings => ({
  samples: given?.samples ?? 4,
  everySteps: given?.everySteps || Math.max(1, Math.ceil(totalSteps / recordedSteps)),
  examples: given?.examples ?? 16,
  tensorboard: given?.tensorboard ?? true,
  jsonl: given?.jsonl ?? true,
});

function resolvePhase(phase: PhaseSpec, firstStep: number): Phase {
  const name = closedValue("PhaseSpec.preset", phase.preset || "gkd");
  const preset = presets[name];
  const lambda = phase.lambda ?? preset.lambda;
  const samplesPerPrompt = phase.samplesPerPrompt || 1;
  return {
    name: phase.name || name,
    firstStep,
    lastStep: firstStep + phase.steps - 1,
    batchSize: phase.batchSize || 32,
    samplesPerPrompt,
    lambda,
    lambdaEnd: phase.lambdaEnd ?? lambda,
    objective: resolveObjective(preset.objective, phase.objective, samplesPerPrompt),
    optimizer: resolveOptimizer(phase.optimizer),
    sampling: resolveSampling(phase.sampling),
  };
}

type NumericSetting =
  | "alpha"
  | "beta"
  | "entropyThreshold"
  | "forwardWeight"
  | "headMass"
  | "klCoef"
  | "lowProbability"
  | "ratioClip"
  | "skew"
  | "studentTemperature"
  | "teacherTemperature"
  | "weight";

/** An objective with its preset and defaults filled in. */
export function resolveObjective(
  preset: Omit<Partial<ObjectiveSpec>, "tokens">,
  given: Partial<ObjectiveSpec> | undefined,
  samplesPerPrompt: number,
): ObjectiveSettings {
  const numeric = (key: NumericSetting, fallback: number) => given?.[key] ?? preset[key] ?? fallback;
  return {
    divergence: closedValue("ObjectiveSpec.divergence", given?.divergence || preset.divergence || "jsd"),
    beta: numeric("beta", 0.5),
    skew: numeric("skew", 0.1),
    weight: numeric("weight", 0.5),
    alpha: numeric("alpha", 1),
    signal: closedValue("ObjectiveSpec.signal", given?.signal || preset.signal || "full"),
    k: given?.topK || 64,
    hiddenDtype: closedValue("ObjectiveSpec.hiddenDtype", given?.hiddenDtype || "float16"),
    headMass: numeric("headMass", 0.5),
    entropyThreshold: numeric("entropyThreshold", 0.8),
    forwardWeight: numeric("forwardWeight", 1),
    studentTemperature: numeric("studentTemperature", 1),
    teacherTemperature: numeric("teacherTemperature", 1),
    normalisation: closedValue("ObjectiveSpec.normalisation", given?.normalisation || preset.normalisation || "sequence"),
    balance: closedValue("ObjectiveSpec.balance", given?.balance || "none"),
    normalizeJsd: given?.normalizeJsd ?? false,
    baseline: closedValue("ObjectiveSpec.baseline", given?.baseline || (samplesPerPrompt > 1 ? "group" : "batch")),
    klCoef: numeric("klCoef", 1),
    klBaseline: given?.klBaseline ?? false,
    lowProbability: numeric("lowProbability", 0.5),
    ratioClip: numeric("ratioClip", 10),
    temperatureSquared: given?.temperatureSquared ?? false,
    prefixTokens: given?.prefixTokens ?? 0,
    tokens: given?.tokens && { by: closedValue("TokenSelectionSpec.by", given.tokens.by), share: given.tokens.share ?? 0.5 },
  };
}

/** Optimiser settings with their defaults. */
export const resolveOptimizer = (given: OptimizerSpec | undefined): OptimizerSettings => ({
  learningRate: given?.learningRate ?? 1e-3,
  schedule: closedValue("OptimizerSpec.schedule", given?.schedule || "constant"),
  warmupSteps: given?.warmupSteps ?? 0,
  weightDecay: given?.weightDecay ?? 0,
  beta1: given?.beta1 ?? 0.9,
  beta2: given?.beta2 ?? 0.999,
  epsilon: given?.epsilon ?? 1e-8,
  maxGradNorm: given?.maxGradNorm ?? 1,
  microBatchTokens: given?.microBatchTokens ?? 0,
  gradientCheckpointing: given?.gradientCheckpointing ?? false,
  computeDtype: closedValue("OptimizerSpec.computeDtype", given?.computeDtype || "float32"),
});

/** How a low-rank adapter is made; as LoraSpec in run_spec.proto. */
export interface LoraChoice {
  readonly r: number;
  readonly alpha: number;
  readonly targetModules: readonly string[];
  readonly useRslora: boolean;
}

/** An adapter's settings with their defaults; undefined where all weights are trained. */
export const resolveLora = (given: LoraSpec | undefined): LoraChoice | undefined =>
  given && {
    r: given.r || 16,
    alpha: given.alpha ?? 32,
    targetModules: given.targetModules.length ? [...given.targetModules] : ["all-linear"],
    useRslora: given.useRslora,
  };

/** Sampling settings with their defaults. */
export const resolveSampling = (given: SamplingParams | undefined): SamplingSettings => ({
  temperature: given?.temperature ?? 1,
  topK: given?.topK ?? 0,
  topP: given?.topP ?? 1,
  maxNewTokens: given?.maxNewTokens ?? 128,
});
