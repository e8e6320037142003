import type { z } from "zod";
import { createLog } from "../../../services/shared/base/log.js";
import { Metrics } from "../../../services/shared/base/metrics.js";
import type { RoleContext, RoleParts } from "../../../services/shared/base/role.js";
import { type processSettings, readSettings } from "../../../services/shared/base/settings.js";

/** A role's parts as its process makes them, in this process. */
export function roleParts<S extends typeof processSettings>(
  role: string,
  schema: S,
  build: (context: RoleContext<z.infer<S>>) => RoleParts,
  argv: readonly string[],
): RoleParts {
  const parts = build({
    role,
    settings: readSettings(schema, [...argv], {}),
    log: createLog(role, { level: "silent", format: "json" }),
    metrics: new Metrics(role),
    ports: () => ({ grpcPort: 0, healthPort: 0, metricsPort: 0 }),
  });
  parts.finished?.catch(() => {});
  return parts;
}
