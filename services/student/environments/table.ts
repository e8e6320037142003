import type { ForeignSettings } from "../../shared/base/rpc/foreign-servers.js";
import type { EnvironmentSettings } from "../../shared/flow/runs/environment.js";
import { calculator } from "./calculator.js";
import type { Environment } from "./environment.js";
import { external } from "./external.js";

/** Every kind of environment: by its settings, and those for servers of other programs. */
export const environments: Readonly<Record<EnvironmentSettings["kind"], (address: string, servers: ForeignSettings) => Environment>> = {
  calculator,
  external,
};
