import { z } from "zod";
import type { Service } from "../base/lifecycle.js";
import { type RoleContext, readTls } from "../base/role.js";
import { grantsOf } from "../base/rpc/access.js";
import type { ProcessSettings } from "../base/settings.js";
import type { ServedModel } from "./served-model.js";
import { OpenaiServer } from "./server.js";

/** The setting of a role that OpenAI's API may be served over. */
export const openaiPort = z.coerce
  .number()
  .int()
  .min(0)
  .max(65535)
  .optional()
  .describe("port of OpenAI's API (/v1/completions, /v1/chat/completions, /v1/models); 0 takes a free one; without it there is none");

/**
 * The server of OpenAI's API that a role's settings ask for, with the address, certificates, tokens and bounds of its gRPC server;
 * undefined where they ask for none.
 *
 * @param served asked at each request; throws while there is no model
 */
export function openaiServer(
  { settings, log }: RoleContext<ProcessSettings & { readonly openaiPort?: number | undefined }>,
  served: () => ServedModel,
): { readonly service: Service; readonly ports: () => { readonly openaiPort: number } } | undefined {
  const { openaiPort: port, host, maxCalls, maxMessageBytes } = settings;
  if (port === undefined) return undefined;
  let server: OpenaiServer | undefined;
  const service: Service = {
    name: "openai",
    start: async () => {
      const options = { host, port, maxCalls, maxMessageBytes, grants: grantsOf(settings), tls: await readTls(settings) };
      server = new OpenaiServer(options, served, log);
      await server.start();
    },
    stop: async () => server?.stop(),
  };
  return { service, ports: () => ({ openaiPort: server?.port ?? 0 }) };
}
