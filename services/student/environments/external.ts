import { RetortError } from "../../shared/base/errors.js";
import { ForeignServers, type ForeignSettings } from "../../shared/base/rpc/foreign-servers.js";
import { EnvironmentService } from "../../shared/gen/retort/v1/environment_pb.js";
import type { Environment, EpisodePatience } from "./environment.js";

/** Milliseconds that a server may take to forget an episode. */
const closeMs = 5000;

/** A server of EnvironmentService: one that is away or busy is called again, with growing pauses, as long as patience lasts. */
export function external(address: string, settings: ForeignSettings): Environment {
  const servers = new ForeignServers(EnvironmentService, settings);
  type Call<T> = Parameters<typeof servers.ask<T>>[1];
  const ask = async <T>(call: Call<T>, { sinceMs, ...patience }: EpisodePatience): Promise<T> => {
    try {
      return await servers.ask(address, call, patience, sinceMs);
    } catch (error) {
      const failure = servers.failure(error, address, sinceMs, "answer", patience);
      throw new RetortError("FailedPrecondition", `the environment at ${address}: ${failure}`, { cause: error });
    }
  };
  return {
    begin: async (start, patience) => {
      const { episode } = start;
      await ask((client, options) => client.reset(start, options), patience);
      return {
        answer: ({ toolCalls, ...turn }) =>
          ask(async (client, options) => {
            const { messages, done, reward } = await client.step({ ...turn, episode, toolCalls: [...toolCalls] }, options);
            return { messages: messages.map(({ role, content, extra }) => ({ role, content, extra })), done, reward };
          }, patience),
        close: () => {
          const forgotten = servers.ask(address, (client) => client.end({ episode }, { timeoutMs: closeMs }), {
            patienceMs: 0,
            signal: patience.signal,
          });
          // A server forgets by itself what has been silent for long.
          forgotten.catch(() => {});
        },
      };
    },
    close: () => servers.close(),
  };
}
