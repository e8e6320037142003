import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { lastMessage } from "../../base/streams/read.js";
import { type Rollout, RolloutSchema, type RolloutValid, type TaskKey } from "../../gen/retort/v1/flow_pb.js";
import { readRecord } from "../read-record.js";
import { streamNames } from "../streams.js";
import { messageId, subjects } from "../subjects.js";
import { groupsWithin, mostBytesTogether } from "../together.js";

/**
 * Tokens, prompts included, that are enough for one message: a forward pass over so many is bound by its arithmetic, not by
 * reading the weights.
 */
const enoughTokens = 512;

/** A rollout as it is stored. */
interface Kept {
  readonly rollout: Rollout;
  readonly bytes: number;
}

/**
 * Stores rollouts of a step as they come, each as its task's one result, and sends them on to be scored and rewarded: in the
 * order in which they came, as many together as are enough work. If another attempt's rollout was stored first, that one is
 * sent on: all see the same sequences.
 */
export class RolloutSender {
  readonly #streams: Streams;
  readonly #sent: Promise<void>[] = [];
  /** Those that wait for fellows with the same readers. */
  readonly #waiting = new Map<string, { tokens: number; readonly kept: Promise<Kept>[] }>();

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  /** Takes a rollout; resolves when it is stored. */
  async add(rollout: Rollout): Promise<void> {
    const kept = store(this.#streams, rollout);
    const readers = `${rollout.teacher}/${rollout.rewarded}`;
    const group = this.#waiting.get(readers) ?? { tokens: 0, kept: [] };
    this.#waiting.set(readers, group);
    group.kept.push(kept);
    group.tokens += tokensOf(rollout);
    if (group.tokens >= enoughTokens) this.#send(readers);
    await kept;
  }

  /** Sends what still waits; resolves when all is stored and sent on. */
  async end(): Promise<void> {
    for (const readers of this.#waiting.keys()) this.#send(readers);
    await Promise.all(this.#sent);
  }

  #send(readers: string): void {
    const { kept } = found(this.#waiting.get(readers), "a group of rollouts");
    this.#waiting.delete(readers);
    const sent = Promise.all(kept).then((all) => sendOn(this.#streams, all));
    // It is waited for at the end, or not at all where something else fails before.
    sent.catch(() => {});
    this.#sent.push(sent);
  }
}

/** Stores a rollout and sends it on by itself; see {@link RolloutSender}. */
export async function publishRollout(streams: Streams, rollout: Rollout): Promise<void> {
  const sender = new RolloutSender(streams);
  await Promise.all([sender.add(rollout), sender.end()]);
}

/** Reads a rollout record. @throws DataLoss if the bytes are no rollout */
export const readRollout = (bytes: Uint8Array): RolloutValid => readRecord(RolloutSchema, bytes);

async function store(streams: Streams, rollout: Rollout): Promise<Kept> {
  const key = found(rollout.key, "the rollout's key");
  const bytes = toBinary(RolloutSchema, rollout);
  const outcome = await publish(streams, subjects.result(key, "rollout"), bytes, { messageId: messageId(key, "rollout") });
  if (outcome === "stored" || !isRead(rollout)) return { rollout, bytes: bytes.length };
  const first = await storedRollout(streams, key);
  return { rollout: fromBinary(RolloutSchema, first), bytes: first.length };
}

const isRead = ({ teacher, rewarded }: Rollout): boolean => teacher !== "" || rewarded;

async function storedRollout(streams: Streams, key: TaskKey): Promise<Uint8Array> {
  const bytes = await lastMessage(streams, streamNames.results, subjects.result(key, "rollout"));
  if (!bytes)
    throw new RetortError("FailedPrecondition", `the rollout of task ${key.task} came too late: step ${key.step} has been trained already`);
  return bytes;
}

/** Sends rollouts with the same readers on: in one message, or in as many as they need. */
async function sendOn(streams: Streams, kept: readonly Kept[]): Promise<void> {
  const most = mostBytesTogether(streams.connection.info?.max_payload);
  for (const [{ rollout: first }, ...others] of groupsWithin(kept, ({ bytes }) => [bytes], [most])) {
    if (!isRead(first)) continue;
    const key = found(first.key, "the rollout's key");
    const together = others.map(({ rollout }) => rollout);
    const bytes = toBinary(RolloutSchema, create(RolloutSchema, { ...first, together }));
    await publish(streams, subjects.rollout(key, first.teacher), bytes, { messageId: messageId(key, `sent${fellows(together)}`) });
  }
}

/** Names those that a rollout is sent with: another attempt may send it with others. */
function fellows(together: readonly Rollout[]): string {
  if (together.length === 0) return "";
  const tasks = together.map(({ key }) => key?.task).join();
  return `/${createHash("sha256").update(tasks).digest("hex")}`;
}

/** As many as the longer of the two contexts has. */
const tokensOf = ({ sequences }: Rollout): number =>
  sequences.reduce((sum, { promptIds, teacherPromptIds, completionIds, replies }) => {
    const prompt = Math.max(promptIds?.shape[0] ?? 0, teacherPromptIds?.shape[0] ?? 0);
    const replied = replies.reduce((tokens, { ids }) => tokens + (ids?.shape[0] ?? 0), 0);
    return sum + prompt + (completionIds?.shape[0] ?? 0) + replied;
  }, 0);
