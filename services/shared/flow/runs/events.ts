import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate, timestampNow } from "@bufbuild/protobuf/wkt";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { firstMessage, follow, lastMessage, lastSequence } from "../../base/streams/read.js";
import { type RunEvent, RunEventSchema } from "../../gen/retort/v1/events_pb.js";
import { type Run, RunState } from "../../gen/retort/v1/run_pb.js";
import { streamNames } from "../streams.js";
import { subjects } from "../subjects.js";
import { type Report, warn } from "./aside.js";

type Told = Exclude<RunEvent["event"], { case: undefined }>;
type ToldOf<K extends Told["case"]> = Extract<Told, { case: K }>;

/** As Precision in flow.proto. */
interface Precision {
  readonly meanKl: number;
  readonly maxLogprobError: number;
  readonly tokens: number;
}

/** What an event says. */
export type EventBody = NonNullable<MessageInitShape<typeof RunEventSchema>["event"]>;

/**
 * Publishes an event of a run.
 *
 * @param messageId the same event published again under the same id (after a crash) is dropped within two minutes
 * @param timeoutMs how long it outlasts a server that is away or full. Default: the connection's patience
 */
export async function publishEvent(
  streams: Streams,
  runId: string,
  event: EventBody,
  messageId: string,
  timeoutMs?: number,
): Promise<void> {
  const record = create(RunEventSchema, { runId, time: timestampNow(), event });
  await publish(streams, subjects.event(runId, String(event.case)), toBinary(RunEventSchema, record), {
    messageId: `${runId}/${messageId}`,
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
}

/**
 * A run's events in order from a sequence number on, then as they come, until the signal. In the place of one that cannot be
 * read comes a warning; one comes first if the beginning, where that was asked for, is gone.
 *
 * @param report what is done about an event that cannot be read
 */
export async function* watchEvents(
  streams: Streams,
  runId: string,
  fromSequence: number,
  signal: AbortSignal,
  report: Report = warn,
): AsyncGenerator<RunEvent> {
  let first = fromSequence <= 1;
  for await (const { data, sequence, subject, time } of follow(streams, streamNames.events, subjects.events(runId), fromSequence, signal)) {
    const event = decodeEvent(runId, subject, data);
    const warning = (message: string) =>
      create(RunEventSchema, {
        runId,
        sequence: BigInt(sequence),
        time: timestampFromDate(time),
        event: { case: "warning", value: { message } },
      });
    if (first && (await beginningGone(streams, event)))
      yield warning(
        `the beginning of this run's events is gone: the stream keeps ${await capacity(streams)}, and newer events took its room`,
      );
    first = false;
    if (event instanceof Error) {
      await report({ place: `events.${sequence}`, bytes: data, reason: event.message });
      yield warning(`event ${sequence} of this run cannot be read (${event.message}) and is left out`);
      continue;
    }
    event.sequence = BigInt(sequence);
    yield event;
  }
}

/** An event as stored; an error for bytes that are none of this run's, or of another kind than their subject, which says who may write there. */
function decodeEvent(runId: string, subject: string, data: Uint8Array): RunEvent | Error {
  try {
    const event = fromBinary(RunEventSchema, data);
    if (event.runId !== runId) return new Error("it is not of this run");
    return subject === subjects.event(runId, String(event.event.case)) ? event : new Error(`it is a ${event.event.case} under ${subject}`);
  } catch (error) {
    return error as Error;
  }
}

/**
 * Publishes what a model's dtype costs, if it isn't held in float32.
 *
 * @param role which role, and the teacher's name where it is one
 */
export async function announceModel(
  { streams, runId }: { readonly streams: Streams; readonly runId: string },
  [role, teacher = ""]: readonly [role: string, teacher?: string],
  { dtype = "float32", precision }: { readonly dtype?: string; readonly precision?: Precision },
): Promise<void> {
  if (dtype === "float32") return;
  const value = { role, teacher, dtype, ...(precision && { precision }) };
  await publishEvent(streams, runId, { case: "modelOpened", value }, ["opened", role, teacher, dtype].join("/"));
}

/** What a model's dtype costs, in words: "bfloat16: mean KL 1.2e-6, largest error of a log-probability 3.0e-4 over 256 tokens". */
export function precisionWords(dtype: string, precision: Precision | undefined): string {
  if (!precision) return `${dtype}; what that costs was not measured`;
  const { meanKl, maxLogprobError, tokens } = precision;
  if (tokens === 0) return `${dtype}, as its checkpoint has it: nothing is lost`;
  return `${dtype}: mean KL ${meanKl.toExponential(1)}, largest error of a log-probability ${maxLogprobError.toExponential(1)} over ${tokens} tokens`;
}

/** How every run's events begin: it waits for its learner. */
export const announceStart = (streams: Streams, runId: string): Promise<void> =>
  publishEvent(streams, runId, { case: "stateChanged", value: { state: RunState.PENDING, message: "" } }, "created");

/** True if the first event that is left of a run is not the one that it began with, and the stream has let events go. */
async function beginningGone(streams: Streams, first: RunEvent | Error): Promise<boolean> {
  const begun = !(first instanceof Error) && first.event.case === "stateChanged" && first.event.value.state === RunState.PENDING;
  return !begun && (await streams.manager.streams.info(streamNames.events)).state.first_seq > 1;
}

async function capacity(streams: Streams): Promise<string> {
  const { config } = await streams.manager.streams.info(streamNames.events);
  return `${Math.ceil(config.max_bytes / 1024 ** 2)} MiB`;
}

/** True if a run has changed its state again since the event of this sequence number. */
export async function changedSince(streams: Streams, runId: string, sequence: bigint): Promise<boolean> {
  return (await lastSequence(streams, streamNames.events, subjects.event(runId, "stateChanged"))) > Number(sequence);
}

/** A run's last event of a kind; undefined if there is none that can be read. */
export const lastOf = <K extends Told["case"]>(streams: Streams, runId: string, kind: K): Promise<ToldOf<K> | undefined> =>
  eventOf(streams, runId, kind, lastMessage);

/** The first event that is left of a run's of a kind; undefined if there is none that can be read. */
export const firstOf = <K extends Told["case"]>(streams: Streams, runId: string, kind: K): Promise<ToldOf<K> | undefined> =>
  eventOf(streams, runId, kind, firstMessage);

async function eventOf<K extends Told["case"]>(
  streams: Streams,
  runId: string,
  kind: K,
  read: typeof lastMessage,
): Promise<ToldOf<K> | undefined> {
  const subject = subjects.event(runId, kind);
  const data = await read(streams, streamNames.events, subject);
  const found = data && decodeEvent(runId, subject, data);
  if (!found || found instanceof Error) return undefined;
  return found.event as ToldOf<K>;
}

/** The sequence number of a run's last event; 0 if it has none. */
export const lastEvent = (streams: Streams, runId: string): Promise<number> =>
  lastSequence(streams, streamNames.events, subjects.events(runId));

/** Publishes that a run is over if its events do not say so, as when its learner died between the record and the event. */
export async function ensureEnd(streams: Streams, { runId, state, message, finished }: Run): Promise<void> {
  if ((await lastOf(streams, runId, "stateChanged"))?.value.state === state) return;
  await publishEvent(
    streams,
    runId,
    { case: "stateChanged", value: { state, message } },
    `ended/${state}/${finished?.seconds}.${finished?.nanos}`,
  );
}
