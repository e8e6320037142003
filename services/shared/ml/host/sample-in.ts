import { deferred } from "../../base/deferred.js";
import { callback, type WorkerClient } from "../../base/workers.js";
import type { Piece, SampleRequest } from "../sampling/chunk.js";
import type { HostSampling, ModelHost, Outcome, WrittenCompletion } from "./model-host.js";

/** Of requests what the model reads: they may hold more than another thread can be sent. */
const plain = (requests: readonly SampleRequest[]) =>
  requests.map(({ promptIds, seed, maxNewTokens, conversation }) => ({
    ...{ promptIds, seed },
    ...(maxNewTokens === undefined ? {} : { maxNewTokens }),
    ...(conversation === undefined ? {} : { conversation }),
  }));

/** Completes prompts in a model's thread; see {@link ModelHost.sample}. */
export function sampleIn(
  api: WorkerClient<ModelHost>,
  requests: readonly SampleRequest[],
  sampling: HostSampling,
  onPieces?: (pieces: readonly Piece[]) => void,
): Promise<WrittenCompletion[]> {
  return api.sample(plain(requests), sampling, onPieces && callback((pieces: readonly Piece[]) => onPieces(pieces)));
}

/** Completes groups of prompts in a model's thread; see {@link ModelHost.sampleGroups}. */
export async function sampleGroupsIn(
  api: WorkerClient<ModelHost>,
  groups: readonly (readonly SampleRequest[])[],
  sampling: HostSampling,
  onWritten: (group: number, outcomes: readonly Outcome[]) => void,
): Promise<void> {
  // What the last callback brings may come by another channel later than the end.
  const heard = groups.map(() => deferred<void>());
  await api.sampleGroups(
    groups.map(plain),
    sampling,
    callback((group: number, outcomes: readonly Outcome[]) => {
      onWritten(group, outcomes);
      heard[group]!.resolve();
    }),
  );
  await Promise.all(heard.map(({ promise }) => promise));
}
