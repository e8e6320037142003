import { RetortError } from "../../base/errors.js";
import type { WeightsManifest } from "../../gen/retort/v1/flow_pb.js";

/** Files of one version, by name. */
export type WeightsFiles = ReadonlyMap<string, Uint8Array>;

/**
 * Where policy versions are kept. A version exists when its manifest does, which is written last; what is read is
 * checked against the digests in the manifest.
 */
export interface WeightStore {
  /** Stores a version, in place of an older learner's. @throws Aborted if a later learner (a higher fence) stored it */
  put(runId: string, version: number, files: WeightsFiles, fence: bigint): Promise<WeightsManifest>;
  manifest(runId: string, version: number): Promise<WeightsManifest | undefined>;
  /** @throws NotFound if the version does not exist; DataLoss if a digest does not match */
  get(runId: string, version: number): Promise<WeightsFiles>;
  /** Existing versions in rising order. */
  list(runId: string): Promise<number[]>;
  /** Harmless if the version does not exist. */
  delete(runId: string, version: number): Promise<void>;
}

/** A learner that was replaced tries to store a version. */
export const olderFence = (runId: string, version: number, stored: bigint, own: bigint): RetortError =>
  new RetortError("Aborted", `version ${version} of run ${runId} was stored by a later learner (fence ${stored}, ours ${own})`, {
    retry: "never",
  });

/** A stored file is not what its manifest says. */
export const wrongDigest = (runId: string, version: number, name: string): RetortError =>
  new RetortError("DataLoss", `run ${runId} version ${version}: ${name} does not have the digest of its manifest`);
