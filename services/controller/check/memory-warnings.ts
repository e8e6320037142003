import { type Phase, type ResolvedRun, resolveLora } from "../../shared/flow/runs/resolve.js";
import { loraOf } from "../../shared/ml/models/adapter/layers.js";
import type { ModelConfig } from "../../shared/ml/models/config/model-config.js";
import { inferenceBytes, learnerBytes, microBatchTokensFor } from "../../shared/ml/models/memory-estimate.js";
import { parameterCount } from "../../shared/ml/models/model-params.js";
import { type WeightDtype, weightDtypes } from "../../shared/ml/models/precision/weight-dtypes.js";
import type { CheckedRun, SpecWarning } from "./checked-run.js";

/** What a role of a run is expected to hold. */
interface RoleMemory {
  readonly role: string;
  readonly processes: number;
  /** Of each process. */
  readonly bytes: number;
}

/**
 * What the roles of a run are expected to hold, where their models are known: prompts count as as long as completions. Students
 * from scratch, whose models aren't there yet, and classifiers are left out.
 */
export function memoryOf({ spec, run, student, teachers }: CheckedRun): RoleMemory[] {
  const { replicas } = run;
  // What a learner publishes is float32.
  const follows = (field: string) => spec.teachers.some(({ follow }, i) => follow && field === `teachers[${i}].model`);
  const held = teachers.flatMap(({ field, name, parameters, rows, dtype }): RoleMemory[] => {
    const weights = known(spec.roles?.teacher?.dtype || (follows(field) ? "float32" : dtype));
    return parameters ? [{ role: name, processes: replicas.teacher, bytes: inferenceBytes(parameters, rows, weights) }] : [];
  });
  const { config, dtype } = student;
  if (!config) return held;
  const choice = resolveLora(spec.student.lora);
  const lora = choice && loraOf(config, choice);
  const averaged = { averaged: run.follow?.decay !== undefined };
  const learner = run.phases.map((phase) =>
    learnerBytes(config, { ...loadOf(phase, run, config), ...averaged, lora, baseDtype: known(spec.roles?.learner?.dtype || dtype) }),
  );
  const own = inferenceBytes(parameterCount(config), config.vocabSize, known(spec.roles?.student?.dtype));
  return [
    { role: "the learner", processes: 1, bytes: Math.max(...learner) },
    { role: "the student", processes: replicas.student, bytes: own },
    ...held,
  ];
}

/**
 * Warns of a run that this machine's memory isn't expected to hold; of none in a cluster, where each role has a machine's share.
 *
 * @param machine bytes of memory; undefined where the roles run elsewhere
 */
export function memoryWarnings(checked: CheckedRun, machine: number | undefined): SpecWarning[] {
  const roles = memoryOf(checked);
  const total = roles.reduce((sum, { processes, bytes }) => sum + processes * bytes, 0);
  if (machine === undefined || total <= machine) return [];
  const each = roles.map(
    ({ role, processes, bytes }) => `${role} ${inGiB(bytes)}${processes > 1 ? ` in each of ${processes} processes` : ""}`,
  );
  const message = `are expected to hold ${inGiB(total)} of memory (${each.join(", ")}), and this machine has ${inGiB(machine)}: set optimizer.gradientCheckpointing, a smaller optimizer.microBatchTokens, student.lora, or roles.teacher.dtype`;
  return [{ field: "roles", message }];
}

/** The largest micro-batch that a phase may have. */
function loadOf({ batchSize, samplesPerPrompt, sampling, optimizer }: Phase, { environment }: ResolvedRun, config: ModelConfig) {
  const length = Math.min(2 * sampling.maxNewTokens + (environment?.maxReplyTokens ?? 0), config.maxPositions);
  const { gradientCheckpointing } = optimizer;
  const most = optimizer.microBatchTokens || microBatchTokensFor(config, length, gradientCheckpointing);
  return { tokens: Math.min(batchSize * samplesPerPrompt * length, Math.max(most, length)), length, gradientCheckpointing };
}

/** An element type that a teacher elsewhere may have a name of its own for. */
const known = (dtype: string | undefined): WeightDtype => weightDtypes.find((one) => one === dtype) ?? "float32";

const inGiB = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
