import type { RoleName } from "../../shared/flow/runs/resolve.js";
import type { RoleSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** What a run's spec says of a role's processes, as the settings that they are started with; undefined for what it leaves to them. */
export const roleFlags = (role: RoleName, spec: Pick<RoleSpec, "device" | "dtype" | "threads"> | undefined) => ({
  device: spec?.device || undefined,
  threads: spec?.threads || undefined,
  // A reward has no such setting: its classifiers are float32, and a spec that says so says nothing new.
  dtype: role === "reward" ? undefined : spec?.dtype || undefined,
});
