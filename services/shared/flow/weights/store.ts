import type { WeightsManifest } from "../../gen/retort/v1/flow_pb.js";

/** Files of one version, by name. */
export type WeightsFiles = ReadonlyMap<string, Uint8Array>;

/**
 * Where policy versions are kept. A version exists when its manifest does, which is written last; what is read is
 * checked against the digests in the manifest.
 */
export interface WeightStore {
  put(runId: string, version: number, files: WeightsFiles, fence: bigint): Promise<WeightsManifest>;
  manifest(runId: string, version: number): Promise<WeightsManifest | undefined>;
  /** @throws NotFound if the version does not exist; DataLoss if a digest does not match */
  get(runId: string, version: number): Promise<WeightsFiles>;
  /** Existing versions in rising order. */
  list(runId: string): Promise<number[]>;
  delete(runId: string, version: number): Promise<void>;
}
