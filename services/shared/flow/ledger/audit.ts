import type { MessageInitShape } from "@bufbuild/protobuf";
import { counted } from "../../base/counted.js";
import type { AuditFinishedSchema } from "../../gen/retort/v1/events_pb.js";
import type { StepAccount, TaskAccount } from "../../gen/retort/v1/flow_pb.js";
import { type PlanRows, planStep } from "../prompts/plan.js";
import { phaseOf, type ResolvedRun } from "../runs/resolve.js";

/** An audit as plain data. */
export type Audit = Required<Omit<MessageInitShape<typeof AuditFinishedSchema>, "$typeName">>;

/** Most problems, and most reasons of failures, that an audit lists. */
const mostListed = 100;

/** What a run is held against. */
export interface AuditedRun {
  readonly run: ResolvedRun;
  /** Last step that the run finished: up to it nothing may be missing. */
  readonly lastStep: number;
  /** The rows that steps were planned over; undefined where they are not known. */
  readonly rows: PlanRows | undefined;
  /** Learners that the run has had. */
  readonly learners: number;
}

/**
 * Accounts for every sample of every step that is part of the trained student. The steps that an earlier learner had trained
 * beyond the checkpoint from which the next one went on are not part of it. For each step that is, the prompts must be those
 * that the plan names, and every sample of each must either have been trained on or have another recorded outcome: never
 * both, never neither, never twice.
 *
 * @param accounts the run's ledger, in any order
 */
export function audit(accounts: readonly StepAccount[], { run, lastStep, rows, learners }: AuditedRun): Audit {
  const problems = new Problems();
  const { effective, repeated } = lineage(accounts, problems);
  const counts = { samples: 0, trained: 0, failed: 0 };
  const failures = new Map<string, number>();
  const trained = [...effective.keys()].filter((step) => step <= run.totalSteps);
  const last = trained.reduce((a, b) => Math.max(a, b), lastStep);
  for (let step = 1; step <= last; step++) {
    const account = effective.get(step);
    if (!account) problems.add(() => `step ${step}: it was trained, and nothing is recorded of its samples`);
    else if (step <= run.totalSteps) {
      checkPlan(account, run, rows, problems);
      count(account, counts, failures, problems);
    }
  }
  for (const step of effective.keys())
    if (step > run.totalSteps) problems.add(() => `step ${step}: the run has ${counted(run.totalSteps, "step")}`);
  const frequent = [...failures].sort((a, b) => b[1] - a[1]).slice(0, mostListed);
  return {
    holds: problems.count === 0,
    steps: effective.size,
    samples: BigInt(counts.samples),
    trained: BigInt(counts.trained),
    failed: BigInt(counts.failed),
    repeatedSteps: repeated,
    learners,
    problems: problems.list(),
    failures: Object.fromEntries(frequent.map(([reason, times]) => [reason, BigInt(times)])),
  };
}

/** What does not hold: all are counted, and as many kept as are listed. */
class Problems {
  readonly #kept: string[] = [];
  count = 0;

  add(problem: () => string): void {
    if (++this.count <= mostListed) this.#kept.push(problem());
  }

  list(): string[] {
    if (this.count <= mostListed) return this.#kept;
    return [...this.#kept.slice(0, mostListed - 1), `and ${this.count - mostListed + 1} more`];
  }
}

/** The account of each step that counts: a later learner's in place of those that it trained again. */
function lineage(accounts: readonly StepAccount[], problems: Problems) {
  const effective = new Map<number, StepAccount>();
  let repeated = 0;
  const fences = [...new Set(accounts.map(({ fence }) => fence))].sort((a, b) => (a < b ? -1 : 1));
  for (const fence of fences) {
    const life = accounts.filter((account) => account.fence === fence).sort((a, b) => a.step - b.step);
    const from = life[0]!.fromStep;
    for (const step of [...effective.keys()]) {
      if (step <= from) continue;
      effective.delete(step);
      repeated++;
    }
    // The one of step 0 says no more than where the learner began.
    const own = life.filter(({ step }) => step > 0);
    for (const [i, account] of own.entries()) {
      if (account.fromStep !== from)
        problems.add(() => `step ${account.step}: learner ${fence} says that it began behind step ${account.fromStep}, and ${from}`);
      if (i > 0 && own[i - 1]!.step === account.step) problems.add(() => `step ${account.step}: learner ${fence} trained it twice`);
      effective.set(account.step, account);
    }
  }
  return { effective, repeated };
}

/** How a step's tasks differ from its plan. */
function checkPlan({ step, tasks }: StepAccount, run: ResolvedRun, rows: PlanRows | undefined, problems: Problems): void {
  const { batchSize } = phaseOf(run, step);
  const issued = tasks.flatMap((task) => task.rows);
  if (issued.length !== batchSize) {
    problems.add(() => `step ${step}: it issued ${counted(issued.length, "prompt")}, and its plan has ${batchSize}`);
    return;
  }
  if (!rows) return;
  const planned = planStep(run, rows, step).tasks.flat();
  const sorted = (list: readonly number[]) => [...list].sort((a, b) => a - b).join(" ");
  if (sorted(issued) !== sorted(planned)) problems.add(() => `step ${step}: it issued other rows of the dataset than its plan has`);
}

/** Counts a step's samples, and tells of each that is missing or double. */
function count(
  { step, tasks }: StepAccount,
  counts: { samples: number; trained: number; failed: number },
  failures: Map<string, number>,
  problems: Problems,
): void {
  const numbers = new Set<number>();
  for (const account of tasks) {
    const { task, rows, samplesPerPrompt, outcomes } = account;
    if (numbers.has(task)) problems.add(() => `step ${step}: task ${task} is recorded twice`);
    numbers.add(task);
    const times = outcomeTimes(account);
    counts.samples += rows.length * samplesPerPrompt;
    for (let i = 0; i < rows.length * samplesPerPrompt; i++) {
      const trained = bitAt(account, i);
      const failed = times.get(i) ?? 0;
      counts.trained += trained;
      counts.failed += failed;
      if (trained + failed !== 1)
        problems.add(
          () => `step ${step}, ${placeOf(account, i)}: ${trained + failed === 0 ? "it has no outcome" : "it has more than one outcome"}`,
        );
    }
    for (const at of times.keys())
      if (at >= rows.length * samplesPerPrompt)
        problems.add(() => `step ${step}, ${placeOf(account, at)}: it has an outcome, and was not issued`);
    for (const { reason } of outcomes) {
      if (!reason) problems.add(() => `step ${step}, task ${task}: an outcome has no reason`);
      failures.set(reason, (failures.get(reason) ?? 0) + 1);
    }
  }
}

function outcomeTimes({ outcomes, samplesPerPrompt }: TaskAccount): Map<number, number> {
  const times = new Map<number, number>();
  for (const { prompt, sample } of outcomes) {
    const at = prompt * samplesPerPrompt + sample;
    times.set(at, (times.get(at) ?? 0) + 1);
  }
  return times;
}

const bitAt = ({ trained }: TaskAccount, i: number): number => ((trained[i >> 3] ?? 0) >> (i & 7)) & 1;

const placeOf = ({ task, samplesPerPrompt }: TaskAccount, i: number): string =>
  `task ${task}, prompt ${Math.floor(i / samplesPerPrompt)}, sample ${i % samplesPerPrompt}`;
