import type { Problem } from "../../shared/base/errors.js";
import type { InitSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { architectureOf } from "../../shared/ml/models/architectures/table.js";

/** What a student from scratch is asked for that its family has not. */
export function familyProblems(init: InitSpec): Problem[] {
  const family = architectureOf(init);
  if (!family.encoder) return [];
  const { architecture, heads, kvHeads, maxPositions, ropeTheta, initializerRange } = init;
  const unread: readonly (readonly [field: string, given: boolean, why: string])[] = [
    ["kvHeads", kvHeads !== 0 && kvHeads !== heads, "has as many key heads as heads"],
    [
      "maxPositions",
      maxPositions !== 0,
      `has no table of positions, and takes texts of up to ${family.maxPositions.toLocaleString("en")} tokens`,
    ],
    ["ropeTheta", ropeTheta !== 0, "rotates nothing: its positions are biases that it learns"],
    ["initializerRange", initializerRange !== 0, "draws each weight by the size of its matrix"],
  ];
  return unread.flatMap(([field, given, why]) =>
    given ? [{ fieldPath: `student.init.${field}`, description: `a ${architecture} ${why}; leave it out` }] : [],
  );
}
