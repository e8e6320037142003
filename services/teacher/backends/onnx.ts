import pLimit from "p-limit";
import { deferred } from "../../shared/base/deferred.js";
import type { RetortError } from "../../shared/base/errors.js";
import type { WorkerClient, WorkerHandle } from "../../shared/base/workers.js";
import type { ModelHost } from "../../shared/ml/host/model-host.js";
import { sampleGroupsIn, sampleIn } from "../../shared/ml/host/sample-in.js";
import { spawnModelHost } from "../../shared/ml/host/spawn.js";
import { outlineModel } from "../../shared/ml/models/files/outline-model.js";
import { storedDtype } from "../../shared/ml/models/precision/dtype.js";
import type { BackendOptions, TeacherBackend, TeacherModel, TeacherSource } from "./backend.js";

/** Tokens per run of the sampler, and rows that it samples side by side. */
const [chunkTokens, maxRows] = [64, 64];

/** A model of a Hugging Face directory, run by onnxruntime in a worker thread of this process. */
export function onnxBackend(options: BackendOptions): TeacherBackend {
  const { device } = options;
  let host: WorkerHandle<ModelHost> | undefined;
  const { promise: crashed, resolve: lose } = deferred<RetortError>();
  return {
    crashed,
    close: async () => host?.close(),
    describe: ({ model }) => ({ facts: async (vocabulary) => ({ ...(await outlineModel(model, vocabulary)), device }) }),
    open: (source) => {
      host = spawnModelHost();
      host.crashed.then(lose);
      return openModel(host.api, source, options);
    },
  };
}

async function openModel(
  api: WorkerClient<ModelHost>,
  { model: directory, weights = { directory }, vocabRows }: TeacherSource,
  options: BackendOptions,
): Promise<TeacherModel> {
  const dtype = options.dtype ?? (await storedDtype(weights.base ?? weights.directory));
  const { device, threads, batchTokens } = options;
  const description = await api.open(weights, { device, threads, batchTokens, dtype, chunkTokens, maxRows, vocabRows });
  const exclusive = pLimit(1);
  return {
    description,
    isAttested: true,
    weights: { use: (version) => exclusive(() => api.useWeights(version)), headDigest: () => exclusive(() => api.headDigest()) },
    facts: async (vocabulary) => {
      const { vocabSize, digest, headDigest, precision } = description;
      const weights = { digest, headDigest, dtype, ...(precision && { precision }) };
      return { ...(await api.outline(directory, vocabulary)), vocabSize, device, weights };
    },
    encode: (prompts, chat) => api.encode(prompts, chat),
    completionTexts: (sequences) => api.completionTexts(sequences),
    encodePairs: (pairs, chat) => api.encodePairs(pairs, chat),
    completionTokens: (completions) => api.completionTokens(completions),
    score: (inputs, signal) => exclusive(() => api.score(inputs, signal)),
    sampleGroups: (groups, sampling, onWritten) => exclusive(() => sampleGroupsIn(api, groups, sampling, onWritten)),
    sample: (requests, sampling, onPieces) => exclusive(() => sampleIn(api, requests, sampling, onPieces)),
  };
}
