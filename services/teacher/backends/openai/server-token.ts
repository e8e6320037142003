import { RetortError } from "../../../shared/base/errors.js";
import { isLoopback } from "../../../shared/base/paths.js";
import type { ServerSpec } from "../../../shared/gen/retort/v1/server_pb.js";
import type { TokenRules } from "../backend.js";

/**
 * The token for a server; undefined where the spec names none. A spec alone sends no token to another machine: the operator names
 * those that get one, and says so if it may go there in plain text.
 *
 * @throws FailedPrecondition naming what the operator has not set, and where
 */
export function serverToken(
  { url, tokenEnv }: Pick<ServerSpec, "url" | "tokenEnv">,
  { env, hosts, plaintext }: TokenRules,
): string | undefined {
  if (!tokenEnv) return undefined;
  const refuse = (why: string) =>
    new RetortError("FailedPrecondition", `server.tokenEnv is ${tokenEnv}, ${why}`, { fieldPath: "server.tokenEnv" });
  const token = env[tokenEnv];
  if (!token) throw refuse("and this process has no such variable; set it where the controller and the teacher run");
  const { protocol, hostname, port } = new URL(url);
  if (isLoopback(hostname)) return token;
  const tls = protocol === "https:";
  const server = `${hostname}:${port || (tls ? 443 : 80)}`;
  if (!hosts.split(",").some((one) => one.trim().toLowerCase() === server))
    throw refuse(
      `and no token goes to ${server} because a spec says so: name it in RETORT_SERVER_TOKEN_HOSTS (--server-token-hosts) where the controller and the teacher run`,
    );
  if (!tls && !plaintext)
    throw refuse(
      `which would go to ${server} in plain text; give its address as https://, or set RETORT_SERVER_TOKEN_PLAINTEXT=true if the network is trusted`,
    );
  return token;
}
