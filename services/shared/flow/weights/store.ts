import type { WeightsManifest } from "../../gen/retort/v1/flow_pb.js";

/** A file of a version that is to be stored, as it lies on this machine. */
export interface VersionFile {
  /** Its name in the version; `/` separates folders. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256, hexadecimal; empty for one that is hashed when someone asks for its digest. */
  readonly digest: string;
}

/** Files of a version that lie in a reader's directory. */
export interface Placed {
  readonly manifest: WeightsManifest;
  /**
   * Settles when all of them have been read and compared with the manifest. Nothing that was made of them may be given on before.
   * Rejects with NotFound or DataLoss, as {@link WeightStore.fetch}.
   */
  readonly checked: Promise<void>;
}

/**
 * Where policy versions are kept. A version exists when its manifest does, which is written last; what is fetched is checked
 * against the digests in the manifest. Files go from disk to disk: no process holds one in memory.
 */
export interface WeightStore {
  /**
   * An empty directory for the files of a version that a learner is about to {@link put}, where the store takes them over without
   * copying them, if it can. What was in it, and in those of earlier learners, is gone.
   */
  stage(runId: string, fence: bigint): Promise<string>;
  /** Makes sure that what is stored of a run that is over can be read after the machine's next start, and that nothing else is left of it. */
  settle(runId: string): Promise<void>;
  /**
   * Stores a version, in place of an older learner's, or of one that was damaged. The files stay where they are, and must not be
   * written to from then on, only replaced or deleted.
   *
   * @throws Aborted if a later learner (a higher fence) stored it
   */
  put(runId: string, version: number, files: readonly VersionFile[], fence: bigint): Promise<WeightsManifest>;
  /** Whether a version must be stored with digests; false only once a directory was staged. */
  needsDigests(runId: string): Promise<boolean>;
  /**
   * A version's manifest, with all digests.
   *
   * @throws DataLoss if there is one that is none, or another version's
   */
  manifest(runId: string, version: number): Promise<WeightsManifest | undefined>;
  /**
   * Where a reader may keep what it fetches, so that it costs neither time nor space where the store's own files can be shared.
   * Nothing is made there.
   *
   * @param name tells the reader from the run's others
   */
  holding(runId: string, name: string): string;
  /**
   * Brings files of a version into a directory, under their names. They stay whole when the version is deleted; they must not be
   * written to.
   *
   * @param directory is made if it is not there
   * @param wanted which of them; the others are not read
   * @returns the version's manifest
   * @throws NotFound if the version does not exist, or is deleted or replaced meanwhile; DataLoss if a digest does not match
   */
  fetch(runId: string, version: number, directory: string, wanted?: (name: string) => boolean): Promise<WeightsManifest>;
  /**
   * As {@link fetch}, for a reader that works while digests are compared: the files have their sizes, and may still be found to
   * hold other bytes than they should.
   *
   * @throws NotFound as `fetch`; DataLoss if a file has another size
   */
  place(runId: string, version: number, directory: string, wanted?: (name: string) => boolean): Promise<Placed>;
  /** Existing versions in rising order. */
  list(runId: string): Promise<number[]>;
  /** Harmless if the version does not exist. */
  delete(runId: string, version: number): Promise<void>;
  /** Bytes of a run's versions. */
  bytes(runId: string): Promise<number>;
  /** Deletes all versions of a run and what keeps them. Harmless if there are none. */
  deleteAll(runId: string): Promise<void>;
}
