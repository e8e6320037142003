import { z } from "zod";
import type { ForeignSettings } from "../shared/base/rpc/foreign-servers.js";
import { memberSettings } from "../shared/base/settings.js";

/** Settings of a reward process. */
export const rewardSettings = memberSettings.extend({
  rewardTlsCa: z
    .string()
    .optional()
    .describe("path of the authority (PEM) of external reward servers at https:// addresses; default: the system's authorities"),
  rewardToken: z.string().optional().meta({ description: "bearer token that external reward servers ask for", secret: true }),
  rewardTokenHosts: z
    .string()
    .default("")
    .describe(
      "external reward servers that get the token: host:port, separated by commas; one that a run names and this does not gets none",
    )
    .meta({ needs: ["rewardToken"] }),
  rewardTokenPlaintext: z
    .stringbool()
    .default(false)
    .describe("whether the token may go to other machines without TLS: true or false")
    .meta({ needs: ["rewardToken"] }),
});

/** Parsed {@link rewardSettings}. */
export type RewardSettings = z.infer<typeof rewardSettings>;

/** How the reward servers of other programs are reached. */
export const foreignJudges = ({
  maxMessageBytes,
  rewardTlsCa,
  rewardToken,
  rewardTokenHosts,
  rewardTokenPlaintext,
}: Pick<
  RewardSettings,
  "maxMessageBytes" | "rewardTlsCa" | "rewardToken" | "rewardTokenHosts" | "rewardTokenPlaintext"
>): ForeignSettings => ({
  kind: "reward",
  maxMessageBytes,
  tlsCa: rewardTlsCa,
  token: rewardToken,
  tokenHosts: rewardTokenHosts,
  tokenPlaintext: rewardTokenPlaintext,
});
