import { RetortError } from "../shared/base/errors.js";
import { isLoopback } from "../shared/base/paths.js";
import type { RewardSettings } from "./config.js";

/** Where a judge is. */
export interface JudgeAddress {
  readonly tls: boolean;
  /** In lower case; an address of IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
}

/** host:port or https://host:port, where the host is a name or an address, and nothing that a client could take for more. */
const form = /^(https:\/\/)?(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9._-]*[a-z0-9])?):(\d{1,5})$/i;

/** Reads host:port or https://host:port. @throws InvalidArgument for anything else */
export function addressOf(text: string): JudgeAddress {
  const [, scheme, host, , port] = form.exec(text) ?? [];
  if (!host || !port)
    throw new RetortError("InvalidArgument", `"${text}" isn't the address of a reward server; write host:port, or https://host:port`);
  return { tls: scheme !== undefined, host: host.toLowerCase(), port: Number(port) };
}

/** Which settings decide who gets the token. */
type TokenSettings = Pick<RewardSettings, "rewardToken" | "rewardTokenHosts" | "rewardTokenPlaintext">;

/**
 * The token for a judge: only for one that the operator names, never for one that a spec alone names; and in plain text only
 * within this machine, unless the operator says so.
 *
 * @throws FailedPrecondition if the judge is named, and the token would go to it in plain text
 */
export function tokenFor({ tls, host, port }: JudgeAddress, settings: TokenSettings): string | undefined {
  const { rewardToken, rewardTokenHosts, rewardTokenPlaintext } = settings;
  if (rewardToken === undefined || !hostsOf(rewardTokenHosts).some((named) => named.host === host && named.port === port)) return undefined;
  if (tls || isLoopback(host) || rewardTokenPlaintext) return rewardToken;
  throw new RetortError(
    "FailedPrecondition",
    `the token for the reward server ${host}:${port} would go there in plain text; give its address as https://${host}:${port}, or set --reward-token-plaintext=true if the network is trusted`,
  );
}

/** The judges that get the token. @throws InvalidArgument for a setting that isn't a list of host:port */
export const hostsOf = (list: string): readonly JudgeAddress[] =>
  list
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean)
    .map(addressOf);
