import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import type { Streams } from "../../base/streams/connection.js";
import { publish } from "../../base/streams/publish.js";
import { follow, lastSequence } from "../../base/streams/read.js";
import { type RunEvent, RunEventSchema } from "../../gen/retort/v1/run_pb.js";
import { streamNames } from "../streams.js";
import { subjects } from "../subjects.js";

/** What an event says. */
export type EventBody = NonNullable<MessageInitShape<typeof RunEventSchema>["event"]>;

/**
 * Publishes an event of a run.
 *
 * @param messageId the same event published again under the same id (after a crash) is dropped within two minutes
 */
export async function publishEvent(streams: Streams, runId: string, event: EventBody, messageId: string): Promise<void> {
  const record = create(RunEventSchema, { runId, time: timestampNow(), event });
  await publish(streams, subjects.event(runId, String(event.case)), toBinary(RunEventSchema, record), {
    messageId: `${runId}/${messageId}`,
  });
}

/** A run's events in order from a sequence number on, then as they come, until the signal. */
export async function* watchEvents(streams: Streams, runId: string, fromSequence: number, signal: AbortSignal): AsyncGenerator<RunEvent> {
  for await (const { data, sequence } of follow(streams, streamNames.events, subjects.events(runId), fromSequence, signal)) {
    const event = fromBinary(RunEventSchema, data);
    event.sequence = BigInt(sequence);
    yield event;
  }
}

/** True if a run has changed its state again since the event of this sequence number. */
export async function changedSince(streams: Streams, runId: string, sequence: bigint): Promise<boolean> {
  return (await lastSequence(streams, streamNames.events, subjects.event(runId, "stateChanged"))) > Number(sequence);
}
