import pLimit from "p-limit";
import { callback } from "../../shared/base/workers.js";
import { spawnModelHost } from "../../shared/ml/host/spawn.js";
import type { Piece } from "../../shared/ml/sampling/sampler.js";
import type { BackendOptions, TeacherBackend } from "./backend.js";

/** Tokens per run of the sampler, and rows that it samples side by side. */
const [chunkTokens, maxRows] = [64, 64];

/** A model of a Hugging Face directory, run by onnxruntime in a worker thread of this process. */
export function onnxBackend({ device, threads, batchTokens }: BackendOptions): TeacherBackend {
  const { api, crashed, terminate } = spawnModelHost();
  const exclusive = pLimit(1);
  return {
    crashed,
    close: terminate,
    open: async ({ model, vocabRows }) => ({
      description: await api.open({ directory: model }, { device, threads, batchTokens, chunkTokens, maxRows, vocabRows }),
      device,
      encode: (prompts, chat) => api.encode(prompts, chat),
      completionTexts: (sequences) => api.completionTexts(sequences),
      encodePairs: (pairs, chat) => api.encodePairs(pairs, chat),
      score: (inputs, signal) => exclusive(() => api.score(inputs, signal)),
      sample: (requests, sampling, onPieces) => {
        // Not the requests themselves: they may hold more than another thread can be sent.
        const plain = requests.map(({ promptIds, seed }) => ({ promptIds, seed }));
        const told = onPieces && callback((pieces: readonly Piece[]) => onPieces(pieces));
        return exclusive(() => api.sample(plain, sampling, told));
      },
    }),
  };
}
