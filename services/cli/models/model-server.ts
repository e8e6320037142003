import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { RetortError } from "../../shared/base/errors.js";
import { found } from "../../shared/base/found.js";
import { whenServing } from "../../shared/base/ready.js";
import { type Client, createClient } from "../../shared/base/rpc/client.js";
import { toRecord } from "../../shared/flow/arrays.js";
import { RewardService } from "../../shared/gen/retort/v1/reward_pb.js";
import type { SampleResponse } from "../../shared/gen/retort/v1/student_pb.js";
import { TeacherService, type TeacherServiceSampleResponse } from "../../shared/gen/retort/v1/teacher_pb.js";
import type { EncodedPrompt } from "../../shared/ml/text/encoder.js";
import { end, longestStartMs, privateEnvironment, spawnRole } from "../local.js";
import { supervisor } from "../supervise.js";

/** A role that runs beside this process, for the length of a command. */
export interface Served<C> {
  readonly client: C;
  stop(): Promise<void>;
}

/** A model directory behind a TeacherService of its own, which can both write and score. */
export type ModelServer = Served<Client<typeof TeacherService>>;

/** The built-in rewards behind a RewardService of their own. */
export type RewardServer = Served<Client<typeof RewardService>>;

/** Both ends are ours: a whole vocabulary's distribution over one long completion must fit. */
const maxMessageBytes = 1024 ** 3;
const connect = <S extends DescService>(service: S, { address, token }: Pick<Role, "address" | "token">): Client<S> =>
  createClient(service, address, { timeoutMs: 600_000, maxMessageBytes, token });

/** Serves a model directory on a free port of this machine. @throws the reason if it cannot be loaded */
export async function serveModel(model: string, device = "cpu", dtype?: string): Promise<ModelServer> {
  const argv = ["--model", model, "--device", device, ...(dtype ? ["--dtype", dtype] : [])];
  const role = await serveRole("teacher", argv, `the model ${model} cannot be served`);
  return served(connect(TeacherService, role), role.stop);
}

/** Serves the rewards on a free port of this machine. @param device where classifiers run */
export async function serveRewards(device = "cpu"): Promise<RewardServer> {
  const role = await serveRole("reward", ["--device", device], "the rewards cannot be served");
  return served(connect(RewardService, role), role.stop);
}

function served<C extends { close(): void }>(client: C, stop: () => Promise<void>): Served<C> {
  return {
    client,
    stop: async () => {
      client.close();
      await stop();
    },
  };
}

/** A role's process, and what it must be shown. */
interface Role {
  readonly address: string;
  readonly token: string;
  readonly stop: () => Promise<void>;
}

async function serveRole(role: string, argv: readonly string[], complaint: string): Promise<Role> {
  const token = randomUUID();
  const directory = await mkdtemp(join(tmpdir(), "retort-"));
  const log = join(directory, "role.log");
  const child = spawnRole(role, [...argv, "--log-format", "json", "--max-message-bytes", String(maxMessageBytes)], log, {
    env: privateEnvironment(token),
  });
  const stopNow = async () => {
    await end(child, 5000);
    await rm(directory, { recursive: true, force: true });
    free();
  };
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= stopNow());
  const free = supervisor.add({ stop, kill: () => killed(child, directory) });
  try {
    const { grpcPort } = await whenServing(child, { log, timeoutMs: longestStartMs });
    return { address: `127.0.0.1:${grpcPort}`, token, stop };
  } catch (error) {
    await stop();
    throw new RetortError("FailedPrecondition", `${complaint}: ${RetortError.from(error).message}`, { cause: error });
  }
}

function killed(child: ChildProcess, directory: string): void {
  child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
}

/** Most new tokens that are asked for where the user names no number. */
const usualTokens = 128;

/** As many new tokens as usual, or as the model's context leaves beside the longest of the prompts. */
export async function roomFor({ client }: ModelServer, prompts: readonly EncodedPrompt[]): Promise<number> {
  const { maxPositions } = await client.describe({});
  const longest = prompts.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  // One at least: the model then says which prompt is too long.
  return Math.max(1, Math.min(usualTokens, maxPositions - longest));
}

/** The piece of text of a model's answer. */
export const pieceOf = ({ piece }: TeacherServiceSampleResponse): SampleResponse => found(piece, "the piece of the model's answer");

/** A prompt as a request has it. */
export const promptInput = ({ ids }: EncodedPrompt) => ({ input: { case: "ids" as const, value: toRecord(ids) } });
