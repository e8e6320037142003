import { RetortError } from "../../../services/shared/base/errors.js";
import { createLog } from "../../../services/shared/base/log.js";
import { SharedTime } from "../../../services/shared/base/shared-time.js";
import type { Delivery } from "../../../services/shared/base/streams/consume.js";
import { sampleTask, type Written } from "../../../services/shared/flow/rollouts/sample-task.js";
import type { TaskSample } from "../../../services/shared/flow/rollouts/sequences.js";
import type { SamplingSettings } from "../../../services/shared/flow/runs/resolve.js";
import { scoreRollouts } from "../../../services/teacher/scorer.js";
import type { Random } from "./random.js";
import { keepingStreams, vocab } from "./records.js";

const log = createLog("fuzz", { level: "silent", format: "json" });

const delivery = (data: Uint8Array): Delivery => ({ subject: "x", data, attempt: 3, signal: new AbortController().signal });

/** What a student stores for a task, by a model that refuses what a real one refuses; undefined if it drops the task. */
export async function sampled(data: Uint8Array, random: Random): Promise<Uint8Array | undefined> {
  const { streams, kept } = keepingStreams();
  const written = (requests: readonly TaskSample[], { topIds = 0 }: SamplingSettings): Written[] =>
    requests.map(({ promptIds }) => {
      if (promptIds.length === 0 || promptIds.some((id) => id < 0 || id >= vocab))
        return { refusal: "the prompt has no tokens, or others than the model" };
      const ids = Int32Array.of(3, 2);
      const top = topIds ? { topIds: new Int32Array(2 * Math.min(topIds, vocab)) } : {};
      return { ids, logprobs: Float32Array.of(-1, -2), text: "x", finish: "stop" as const, ...top };
    });
  await sampleTask(delivery(data), {
    streams,
    log,
    write: async (groups, sampling, onWritten) => {
      for (const [i, group] of groups.entries()) onWritten(i, written(group, sampling));
    },
    versionExists: async ({ minPolicyVersion, maxPolicyVersion }) => minPolicyVersion <= maxPolicyVersion && random.chance(0.95),
    underVersion: ({ maxPolicyVersion }, work) => work(maxPolicyVersion),
    maxAttempts: 3,
    time: new SharedTime(() => 0),
    done: () => {},
  });
  return [...kept].find(([subject]) => subject.startsWith("retort.results."))?.[1];
}

/** A token for each character. */
function tokensOf(text: string) {
  const ids = Int32Array.from([...text].keys());
  return ids.length ? { ids, byteLengths: Uint16Array.from(text, (character) => Buffer.byteLength(character)) } : "there is no text";
}

/** What a teacher stores for a rollout, by a model that refuses what a real one refuses. */
export async function scored(data: Uint8Array): Promise<Uint8Array | undefined> {
  const { streams, kept } = keepingStreams();
  await scoreRollouts(delivery(data), {
    streams,
    teacher: "default",
    maxStaleness: 1,
    maxAttempts: 3,
    under: (_rollout, _signal, work) => work({ digest: "d", headDigest: "h", cache: undefined }),
    score: async (inputs, signal) =>
      inputs.map(({ promptIds, completionIds }) => {
        if (promptIds.length === 0 || completionIds.length === 0) throw new RetortError("InvalidArgument", "a sequence has no tokens");
        const logprobs = new Float32Array(completionIds.length).fill(-1);
        return { signal, logprobs, full: new Float32Array(completionIds.length * vocab).fill(-1) };
      }),
    tokens: async (completions) => completions.map(({ text }) => tokensOf(text)),
    time: new SharedTime(() => 0),
    done: () => {},
  });
  return [...kept.values()][0];
}
