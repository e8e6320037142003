import { callback, type WorkerClient } from "../../base/workers.js";
import type { Piece, SampleRequest } from "../sampling/chunk.js";
import type { HostSampling, ModelHost, WrittenCompletion } from "./model-host.js";

/**
 * Completes prompts in a model's thread; see {@link ModelHost.sample}. Of the requests goes there what the model reads: they
 * may hold more than another thread can be sent.
 */
export function sampleIn(
  api: WorkerClient<ModelHost>,
  requests: readonly SampleRequest[],
  sampling: HostSampling,
  onPieces?: (pieces: readonly Piece[]) => void,
): Promise<WrittenCompletion[]> {
  const plain = requests.map(({ promptIds, seed }) => ({ promptIds, seed }));
  return api.sample(plain, sampling, onPieces && callback((pieces: readonly Piece[]) => onPieces(pieces)));
}
