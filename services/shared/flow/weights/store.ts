import type { FileBytes } from "../../base/file-bytes.js";
import type { WeightsManifest } from "../../gen/retort/v1/flow_pb.js";

/** Files of one version, by name. */
export type WeightsFiles = ReadonlyMap<string, FileBytes>;

/**
 * Where policy versions are kept. A version exists when its manifest does, which is written last; what is read is
 * checked against the digests in the manifest.
 */
export interface WeightStore {
  /** Stores a version, in place of an older learner's. @throws Aborted if a later learner (a higher fence) stored it */
  put(runId: string, version: number, files: WeightsFiles, fence: bigint): Promise<WeightsManifest>;
  manifest(runId: string, version: number): Promise<WeightsManifest | undefined>;
  /**
   * The files of a version.
   *
   * @param wanted which of them; the others are not read
   * @throws NotFound if the version does not exist; DataLoss if a digest does not match
   */
  get(runId: string, version: number, wanted?: (name: string) => boolean): Promise<WeightsFiles>;
  /** Existing versions in rising order. */
  list(runId: string): Promise<number[]>;
  /** Harmless if the version does not exist. */
  delete(runId: string, version: number): Promise<void>;
  /** Bytes of a run's versions. */
  bytes(runId: string): Promise<number>;
  /** Deletes all versions of a run and what keeps them. Harmless if there are none. */
  deleteAll(runId: string): Promise<void>;
}
