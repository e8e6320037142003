import type { Log } from "../../base/log.js";
import type { Streams } from "../../base/streams/connection.js";
import { KeyValue } from "../../base/streams/key-value.js";

/** A stored record that cannot be read. */
export interface Unreadable {
  /** Where it is: `runs.<key>` and `roles.<key>` of the key-value buckets, `events.<sequence>` of the stream. */
  readonly place: string;
  readonly bytes: Uint8Array;
  readonly reason: string;
}

/** What is done about a record that cannot be read. It must not fail: the reader of the record goes on without it. */
export type Report = (record: Unreadable) => Promise<void>;

/** For processes without a log of their own at hand: a line on standard error. */
export const warn: Report = async ({ place, reason }) => process.emitWarning(`the stored record ${place} cannot be read: ${reason}`);

/** Characters that a key of a bucket may not have. */
const strange = /[^A-Za-z0-9_=./-]/g;

/**
 * Keeps records that cannot be read in the bucket `retort_aside`, each under its place: the bytes in base64 beside the
 * reason and the time. Says so in the log, once per record and process.
 */
export function keepAside(streams: Streams, log: Log): Report {
  const seen = new Set<string>();
  let bucket: Promise<KeyValue> | undefined;
  return async ({ place, bytes, reason }) => {
    const key = place.replace(strange, "_");
    if (seen.has(key)) return;
    seen.add(key);
    try {
      bucket ??= KeyValue.open(streams, "retort_aside");
      await (await bucket).put(
        key,
        JSON.stringify({ reason, time: new Date().toISOString(), bytes: Buffer.from(bytes).toString("base64") }),
      );
      log.error(
        { place, reason, bytes: bytes.length },
        "a stored record cannot be read; it is in the bucket retort_aside now, and left out",
      );
    } catch (error) {
      bucket = undefined;
      seen.delete(key);
      log.error({ place, reason, err: error }, "a stored record cannot be read, nor put aside; it is left out");
    }
  };
}
