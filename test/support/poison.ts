import { open, readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetortError } from "../../services/shared/base/errors.js";
import { createLog } from "../../services/shared/base/log.js";
import { implement } from "../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../services/shared/base/rpc/server.js";
import type { EvaluateResponseSchema } from "../../services/shared/gen/retort/v1/reward_pb.js";
import { type EvaluateRequest, type EvaluateResponse, RewardService } from "../../services/shared/gen/retort/v1/reward_pb.js";

export type Judge = (request: EvaluateRequest, call: number) => Promise<MessageInitShape<typeof EvaluateResponseSchema>>;

/** Judges as they must not be, by name. */
export const badJudges: Readonly<Record<string, Judge>> = {
  throws: () => Promise.reject(new RetortError("Internal", "the judge has crashed")),
  silent: () => new Promise<EvaluateResponse>(() => {}),
  "says NaN": async ({ inputs }) => ({ rewards: inputs.map(() => ({ value: Number.NaN })) }),
  "says infinity": async ({ inputs }) => ({ rewards: inputs.map(() => ({ value: Number.POSITIVE_INFINITY })) }),
  "says one too few": async ({ inputs }) => ({ rewards: inputs.slice(1).map(() => ({ value: 1 })) }),
  "says nothing": async () => ({}),
  "says one too many": async ({ inputs }) => ({ rewards: [...inputs, ...inputs.slice(0, 1)].map(() => ({ value: 1 })) }),
};

/** A judge that takes its time, but answers. */
export const slowJudge =
  (ms: number): Judge =>
  async ({ inputs }) => {
    await sleep(ms);
    return { rewards: inputs.map(({ completion }) => ({ value: completion.length })) };
  };

/** Serves a judge; `address` is host:port. */
export async function serveJudge(judge: Judge): Promise<{ readonly address: string; stop(): Promise<void> }> {
  let calls = 0;
  const service = implement(RewardService, { describe: async () => ({ kinds: [] }), evaluate: (request) => judge(request, ++calls) });
  const options = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e6 };
  const server = new RpcServer([service], options, createLog("judge", { level: "silent", format: "json" }));
  await server.start();
  return { address: `127.0.0.1:${server.port}`, stop: () => server.stop() };
}

/** Turns one bit over in the middle of a file, as a bad disk does. */
export async function flipBit(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const at = Math.floor(size / 2);
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.of(buffer[0]! ^ 1), 0, 1, at);
  } finally {
    await file.close();
  }
}

/** What can be wrong with the files of a checkpoint, by name. */
export const badFiles: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  "a bit of the weights turned over": (directory) => flipBit(join(directory, "model.safetensors")),
  "a bit of the optimiser's state turned over": (directory) => flipBit(join(directory, "optimizer.safetensors")),
  "half of the weights": async (directory) => {
    const path = join(directory, "model.safetensors");
    const file = await open(path);
    const { size } = await file.stat();
    await file.close();
    await truncate(path, size >> 1);
  },
  "an empty state": (directory) => writeFile(join(directory, "state.json"), ""),
  "a state of something else": (directory) => writeFile(join(directory, "state.json"), '["no", "state"]'),
};

/** The newest checkpoint's directory of a run. */
export async function newestCheckpoint(dataDir: string, runId: string): Promise<string> {
  const root = join(dataDir, "runs", runId, "checkpoints");
  return join(root, (await readdir(root)).sort().at(-1)!);
}
