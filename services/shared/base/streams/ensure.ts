import type { ConsumerConfig, StreamConfig } from "@nats-io/jetstream";
import { isApiError, type Streams } from "./connection.js";
import { outlast } from "./outlast.js";

/**
 * Makes a stream, or brings an existing one to this configuration.
 *
 * @param initial what a new stream has besides; an existing one has it only if `reset`
 * @returns true if the stream has `initial` from now on
 */
export async function ensureStream(
  streams: Streams,
  config: Partial<StreamConfig> & { readonly name: string },
  initial: Partial<StreamConfig> = {},
  reset = false,
): Promise<boolean> {
  try {
    await outlast(streams, config.name, () => streams.manager.streams.info(config.name));
  } catch (error) {
    if (!isApiError(error, "streamNotFound")) throw error;
    await outlast(streams, config.name, () => streams.manager.streams.add({ ...config, ...initial }), { full: false });
    return true;
  }
  // An update changes what it names and leaves the rest.
  const change = reset ? { ...config, ...initial } : config;
  await outlast(streams, config.name, () => streams.manager.streams.update(config.name, change), { full: false });
  return reset;
}

/** Makes a durable consumer; one that exists is brought to this configuration. */
export async function ensureConsumer(
  streams: Streams,
  stream: string,
  config: Partial<ConsumerConfig> & { readonly durable_name: string },
): Promise<void> {
  const { consumers } = streams.manager;
  await outlast(streams, config.durable_name, () =>
    consumers.add(stream, config).catch(async (error: unknown) => {
      if (!isApiError(error, "consumerExists")) throw error;
      return consumers.update(stream, config.durable_name, config);
    }),
  );
}

/** Removes a durable consumer if it is there. */
export async function removeConsumer(streams: Streams, stream: string, durable: string): Promise<void> {
  await outlast(streams, durable, () => streams.manager.consumers.delete(stream, durable)).catch((error: unknown) => {
    if (!isApiError(error, "consumerNotFound") && !isApiError(error, "streamNotFound")) throw error;
  });
}

/** Removes what a stream holds under a subject filter. */
export async function purge(streams: Streams, stream: string, filter: string): Promise<void> {
  await outlast(streams, `${stream} (${filter})`, () => streams.manager.streams.purge(stream, { filter }));
}
