import { clone, create } from "@bufbuild/protobuf";
import { found } from "../../shared/base/found.js";
import { resolveRun } from "../../shared/flow/runs/resolve.js";
import {
  LoraSpecSchema,
  type OptimizerSpec,
  OptimizerSpecSchema,
  RoleSpecSchema,
  RolesSpecSchema,
  RunSpecSchema,
  type RunSpecValid,
} from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { CheckedRun } from "./checked-run.js";
import { longestSequence, memoryOf, type RoleMemory, sharedBytes, trainedModelOf } from "./role-memory.js";

/** A setting under which a run takes less memory. */
export interface MemorySaving {
  /** Path of the field in the spec. */
  readonly field: string;
  /** What to set it to, as it is written in a spec. */
  readonly value: string;
  /** What the run's processes then take less, together. */
  readonly bytes: number;
}

/** A change of a spec, applied to a copy. */
interface Lever extends Omit<MemorySaving, "bytes"> {
  apply(copy: RunSpecValid): void;
}

/** What is less than this share of the whole isn't worth a setting. */
const leastShare = 0.01;

/** The settings under which a run takes less memory of the machine that its roles share, the one that saves most first, each by itself. */
export function savingsOf(checked: CheckedRun): MemorySaving[] {
  const roles = memoryOf(checked);
  const now = sharedBytes(roles);
  return leversOf(checked, roles)
    .map(({ field, value, apply }) => {
      const spec = copyOf(checked.spec);
      apply(spec);
      return { field, value, bytes: now - sharedBytes(memoryOf({ ...checked, spec, run: resolveRun(spec) })) };
    })
    .filter(({ bytes }) => bytes > leastShare * now)
    .sort((a, b) => b.bytes - a.bytes);
}

function copyOf(spec: RunSpecValid): RunSpecValid {
  const copy = clone(RunSpecSchema, spec);
  return Object.assign(copy, { student: found(copy.student, "the student"), data: found(copy.data, "the data") });
}

function leversOf(checked: CheckedRun, roles: readonly RoleMemory[]): Lever[] {
  const { spec, run, student } = checked;
  const { config, lora } = trainedModelOf(checked);
  const longest = Math.max(...run.phases.map((phase) => longestSequence(phase, run, config)));
  const held = (role: RoleMemory["role"], dtype: string) => roles.some((one) => one.role === role && one.dtype === dtype);
  // Blocks of int8 are of the CPU alone.
  const int8 = (spec.roles?.teacher?.device || "cpu") === "cpu" && !held("teacher", "int8");
  return [
    optimizing(run.phases.length, { gradientCheckpointing: true }),
    optimizing(run.phases.length, { microBatchTokens: longest }),
    ...(held("teacher", "float32") ? [holding("teacher", "bfloat16")] : []),
    ...(int8 ? [holding("teacher", "int8")] : []),
    ...(held("student", "float32") ? [holding("student", "bfloat16")] : []),
    ...(lora && held("learner", "float32") ? [holding("learner", "bfloat16")] : []),
    ...(lora || !student.config ? [] : [adapting]),
  ];
}

/** Sets something of the optimizer of every phase. */
function optimizing(phases: number, setting: Partial<Pick<OptimizerSpec, "gradientCheckpointing" | "microBatchTokens">>): Lever {
  const [[name, value] = []] = Object.entries(setting);
  return {
    field: `phases[${phases === 1 ? 0 : "*"}].optimizer.${name}`,
    value: String(value),
    apply: ({ phases }) => {
      for (const phase of phases) phase.optimizer = Object.assign(phase.optimizer ?? create(OptimizerSpecSchema), setting);
    },
  };
}

/** Has a role hold its weights in another element type. */
const holding = (role: RoleMemory["role"], dtype: string): Lever => ({
  field: `roles.${role}.dtype`,
  value: dtype,
  apply: (spec) => {
    const roles = spec.roles ?? create(RolesSpecSchema);
    roles[role] = Object.assign(roles[role] ?? create(RoleSpecSchema), { dtype });
    spec.roles = roles;
  },
});

/** Trains an adapter of the usual size instead of all weights. */
const adapting: Lever = {
  field: "student.lora",
  value: "{}",
  apply: ({ student }) => {
    student.lora = create(LoraSpecSchema);
  },
};
