import { RetortError } from "../errors.js";
import { isLoopback } from "../paths.js";

/** What servers of other programs are asked for; also what the settings for them begin with (`--reward-token`). */
export type ForeignKind = "reward" | "environment";

/** Where another program's server is. */
export interface ForeignAddress {
  readonly tls: boolean;
  /** In lower case; an address of IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
}

/** Who gets the token of a kind of servers: what an operator has said. */
export interface TokenRules {
  readonly token: string | undefined;
  /** host:port of each, separated by commas. */
  readonly tokenHosts: string;
  /** Whether it may go to other machines without TLS. */
  readonly tokenPlaintext: boolean;
}

/** host:port or https://host:port, where the host is a name or an address, and nothing that a client could take for more. */
const form = /^(https:\/\/)?(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?):(\d{1,5})$/i;

/** Whether a text is host:port or https://host:port. */
export const isForeignAddress = (text: string): boolean => form.test(text);

/** Reads host:port or https://host:port. @throws InvalidArgument for anything else */
export function foreignAddress(text: string, kind: ForeignKind): ForeignAddress {
  const [, scheme, host, , port] = form.exec(text) ?? [];
  if (!host || !port)
    throw new RetortError("InvalidArgument", `"${text}" isn't the address of a server (${kind}); write host:port, or https://host:port`);
  return { tls: scheme !== undefined, host: host.toLowerCase(), port: Number(port) };
}

/**
 * The token for a server: only for one that the operator names, never for one that a spec alone names; and in plain text only
 * within this machine, unless the operator says so.
 *
 * @throws FailedPrecondition if the server is named, and the token would go to it in plain text
 */
export function foreignToken({ tls, host, port }: ForeignAddress, kind: ForeignKind, rules: TokenRules): string | undefined {
  const { token, tokenHosts, tokenPlaintext } = rules;
  if (token === undefined || !foreignHosts(tokenHosts, kind).some((named) => named.host === host && named.port === port)) return undefined;
  if (tls || isLoopback(host) || tokenPlaintext) return token;
  throw new RetortError(
    "FailedPrecondition",
    `the ${kind} token for ${host}:${port} would go there in plain text; give its address as https://${host}:${port}, or set --${kind}-token-plaintext=true if the network is trusted`,
  );
}

/** What is to be said of a token that no server gets; undefined where one does, or there is none. @throws as {@link foreignHosts} */
export const strayToken = ({ token, tokenHosts }: TokenRules, kind: ForeignKind): string | undefined =>
  token !== undefined && foreignHosts(tokenHosts, kind).length === 0
    ? `the ${kind} token goes nowhere: name the ${kind} servers that get it with --${kind}-token-hosts`
    : undefined;

/** The servers that get the token. @throws InvalidArgument for a setting that isn't a list of host:port */
export const foreignHosts = (list: string, kind: ForeignKind): readonly ForeignAddress[] =>
  list
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .map((one) => foreignAddress(one, kind));
