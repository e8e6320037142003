import type { Problem } from "../../shared/base/errors.js";
import { nearest } from "../../shared/base/nearest.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";

/** Roles whose profile the installation doesn't have. @param profiles its profiles; undefined where roles are processes of this machine */
export function profileProblems({ roles }: RunSpecValid, profiles: readonly string[] | undefined): Problem[] {
  return (["student", "teacher", "reward", "learner"] as const).flatMap((role) => {
    const profile = roles?.[role]?.profile;
    if (!profile || profiles?.includes(profile)) return [];
    return [{ fieldPath: `roles.${role}.profile`, description: refusal(profile, profiles) }];
  });
}

function refusal(profile: string, profiles: readonly string[] | undefined): string {
  if (!profiles) return `is ${profile}, and this controller runs roles as processes of this machine, which have no profiles; leave it out`;
  if (profiles.length === 0)
    return `is ${profile}, and the installation has no profiles; leave it out, or add it to the chart's values (profiles)`;
  const meant = nearest(profile, profiles);
  return `is ${profile}; the installation's profiles are: ${profiles.join(", ")}${meant ? ` (did you mean ${meant}?)` : ""}`;
}
