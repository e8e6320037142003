import { type OpenSpan, openSpan } from "../../shared/base/tracing.js";
import type { Item } from "../../shared/codec/examples.js";
import { type RecordSize, taskCapacity } from "../../shared/codec/task-capacity.js";
import { type PlanRows, planStep } from "../../shared/flow/prompts/plan.js";
import { type Phase, phaseOf } from "../../shared/flow/runs/resolve.js";
import type { RunContext } from "../context/run-context.js";
import { issueStep } from "../tasks/issue-step.js";
import type { PlannedTask } from "../tasks/planned-task.js";

/** A step whose tasks have been handed out, and that isn't trained yet. */
export interface IssuedStep {
  readonly step: number;
  readonly phase: Phase;
  readonly tasks: readonly PlannedTask[];
  /** The step's trace, from its tasks to its weights. */
  readonly span: OpenSpan;
}

/** What steps are made of: the rows of the dataset, and how large their records may get. */
export interface StepSource {
  /** The step behind which the learner goes on. */
  readonly fromStep: number;
  readonly items: readonly Item[];
  readonly rows: PlanRows;
  readonly recordSize: RecordSize;
}

/** The steps that are handed out ahead of their training, each once. */
export class IssuedSteps {
  readonly #context: RunContext;
  readonly #source: StepSource;
  readonly #issued = new Map<number, IssuedStep>();

  constructor(context: RunContext, source: StepSource) {
    this.#context = context;
    this.#source = source;
  }

  /** Hands out a step, unless it has been. Its policy version must have been announced. */
  take(step: number): Promise<IssuedStep> {
    return this.#issue(step);
  }

  /** Hands out the steps that may be sampled before this one is trained, with the version before it, which must have been announced. */
  async takeAhead(step: number): Promise<void> {
    const { totalSteps, maxStaleness } = this.#context.membership.run;
    for (let ahead = step + 1; ahead <= Math.min(totalSteps, step + maxStaleness); ahead++) await this.#issue(ahead);
  }

  /** Drops a step that has been trained. */
  finished(step: number): void {
    this.#issued.delete(step);
  }

  /** How many tasks have been handed out for steps after this one. */
  tasksBeyond(step: number): number {
    return [...this.#issued.values()].reduce((sum, issued) => (issued.step > step ? sum + issued.tasks.length : sum), 0);
  }

  async #issue(step: number): Promise<IssuedStep> {
    const known = this.#issued.get(step);
    if (known) return known;
    const { membership, fence } = this.#context;
    const { run, runId } = membership;
    const { items, rows, recordSize, fromStep } = this.#source;
    const phase = phaseOf(run, step);
    const plan = planStep(run, rows, step, taskCapacity(phase, recordSize));
    const span = openSpan("step", { run: runId, step });
    const tasks = await span.run(() => issueStep(membership, plan, items, Number(fence), fromStep));
    const issued = { step, phase, tasks, span };
    this.#issued.set(step, issued);
    return issued;
  }
}
