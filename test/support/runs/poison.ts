import { open } from "node:fs/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createLog } from "../../../services/shared/base/log.js";
import { implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { type EvaluateRequest, type EvaluateResponseSchema, RewardService } from "../../../services/shared/gen/retort/v1/reward_pb.js";

/** What a server of RewardService makes of a call. */
export type Judge = (request: EvaluateRequest) => Promise<MessageInitShape<typeof EvaluateResponseSchema>>;

/** A judge that takes every call and answers none. */
export const silentJudge: Judge = () => new Promise(() => {});

/** Serves a judge; `address` is host:port. */
export async function serveJudge(judge: Judge): Promise<{ readonly address: string; stop(): Promise<void> }> {
  const service = implement(RewardService, { describe: async () => ({ kinds: [] }), evaluate: judge });
  const options = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1e6 };
  const server = new RpcServer([service], options, createLog("judge", { level: "silent", format: "json" }));
  await server.start();
  return { address: `127.0.0.1:${server.port}`, stop: () => server.stop() };
}

/** Turns one bit over in the middle of a file, as a bad disk does. */
export async function flipBit(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const at = (await file.stat()).size >> 1;
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.of(buffer[0]! ^ 1), 0, 1, at);
  } finally {
    await file.close();
  }
}
