import { homedir } from "node:os";
import { join } from "node:path";

/** Where what was fetched or built once is kept, for all of a user's checkouts. @param env XDG_CACHE_HOME, HOME */
export const cacheDirectory = (env: NodeJS.ProcessEnv = process.env): string =>
  join(env.XDG_CACHE_HOME || join(env.HOME ?? homedir(), ".cache"), "retort");
