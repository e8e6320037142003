import type { Membership } from "../../shared/flow/runs/membership.js";

/** Tells the students which policy version there is, as one of the run's learners. */
export class PolicyAnnouncer {
  readonly #membership: Membership;
  readonly #fence: bigint;
  #newest: number | undefined;

  constructor(membership: Membership, fence: bigint) {
    this.#membership = membership;
    this.#fence = fence;
  }

  /** Announces a version that can be loaded. @throws Aborted if a later learner has announced one */
  async announce(version: number): Promise<void> {
    await this.#tell(version);
    this.#newest = version;
  }

  /** Announces the newest version again, for a student that has lost the announcement; nothing before the first. */
  async repeat(): Promise<void> {
    if (this.#newest !== undefined) await this.#tell(this.#newest);
  }

  async #tell(version: number): Promise<void> {
    const { runs, runId } = this.#membership;
    await runs.setPolicy(runId, { version, fence: this.#fence });
  }
}
