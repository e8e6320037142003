import { RetortError } from "../../shared/base/errors.js";
import { type EventBody, publishEvent } from "../../shared/flow/runs/events.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import { Purpose } from "../../shared/gen/retort/v1/flow_pb.js";
import type { RunState } from "../../shared/gen/retort/v1/run_pb.js";
import type { SampleFailure } from "../tasks/sample.js";
import type { Trackers } from "../tracking/trackers.js";

/** Reports on a run, as one of its learners: each event has an id that no other learner uses. */
export class Reporter {
  readonly #membership: Membership;
  readonly #fence: bigint;
  #trackers: Trackers | undefined;

  constructor(membership: Membership, fence: bigint) {
    this.#membership = membership;
    this.#fence = fence;
  }

  /** Writes what is told from now on into the run's directory, too. */
  track(trackers: Trackers): void {
    this.#trackers = trackers;
  }

  /** What was written there is on the disk. */
  async sync(): Promise<void> {
    await this.#trackers?.sync();
  }

  /** @param id tells the event from this learner's others of its kind */
  async event(event: EventBody, id: string): Promise<void> {
    await this.#trackers?.take(event);
    const { streams, runId } = this.#membership;
    await publishEvent(streams, runId, event, `${event.case}/${id}/${this.#fence}`);
  }

  /** How large an event may be, in bytes. */
  get mostBytes(): number {
    return (this.#membership.streams.connection.info?.max_payload ?? 1024 * 1024) - 1024;
  }

  /** Warns of something that is not the training's fault; alarms are step/alarms.ts's. */
  warning(message: string, id: string): Promise<void> {
    return this.event({ case: "warning", value: { message } }, id);
  }

  /** Reports a wait, without making the caller wait for that. */
  waiting(waiter: string, waitsFor: string, seconds: number, deadlineSeconds: number): void {
    const value = { waiter, waitsFor, seconds, deadlineSeconds };
    this.event({ case: "waiting", value }, `${waiter}/${waitsFor}/${Math.round(seconds)}`).catch(() => {});
  }

  /** Reports the samples of a step that failed. */
  async failures(failures: readonly SampleFailure[], step: number): Promise<void> {
    const { runId } = this.#membership;
    for (const { task, prompt, sample, reason } of failures) {
      const key = { runId, purpose: Purpose.TRAIN as const, step, task, attempt: Number(this.#fence) };
      await this.event({ case: "taskFailed", value: { key, prompt, reason } }, `${step}/${task}/${prompt}/${sample}`);
    }
  }

  /**
   * Records and reports the state of a run that is going.
   *
   * @throws FailedPrecondition if the run is over: only a resume leaves a final state
   */
  async state(state: RunState, step: number): Promise<void> {
    const { runs, runId, run } = this.#membership;
    const { totalSteps } = run;
    if (!(await runs.transition(runId, state, "", { step, totalSteps })))
      throw new RetortError("FailedPrecondition", `run ${runId} is over; resume it to go on`);
    await this.event({ case: "stateChanged", value: { state, message: "" } }, `${state}/${step}`);
  }
}
