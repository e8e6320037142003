import { celExpressions, inRules } from "../../../../deploy/proto-rules.js";
import { rewardKinds } from "../../../../services/reward/evaluator.js";
import { closedValue } from "../../../../services/shared/flow/runs/closed-value.js";
import { closedValues } from "../../../../services/shared/flow/runs/closed-values.js";
import { bestFigures } from "../../../../services/shared/flow/runs/evaluation.js";
import { presets } from "../../../../services/shared/flow/runs/presets.js";
import { permits } from "../../../../services/shared/ml/losses/permits.js";
import { architectureOf, architectures } from "../../../../services/shared/ml/models/architectures/table.js";
import { weightDtypes } from "../../../../services/shared/ml/models/precision/weight-dtypes.js";
import { devices } from "../../../../services/shared/ml/runtime/device.js";
import { signals } from "../../../../services/shared/ml/signals/table.js";
import { textMetrics } from "../../../../services/shared/ml/text/metrics/table.js";
import { computeDtypes } from "../../../../services/shared/ml/training/compute-dtype.js";
import { environments } from "../../../../services/student/environments/table.js";
import { dialects } from "../../../../services/teacher/backends/openai/table.js";

/** What does the work of each value, where a table does. */
const tables: Readonly<Record<string, readonly string[]>> = {
  "EnvironmentSpec.kind": Object.keys(environments),
  "EvaluationSpec.keepBest": Object.keys(bestFigures),
  "EvaluationSpec.metric": Object.keys(textMetrics),
  // Those that a model from scratch may be of.
  "InitSpec.architecture": Object.keys(architectures).filter((architecture) => architectureOf({ architecture }).fresh !== false),
  "ObjectiveSpec.divergence": Object.keys(permits),
  "ObjectiveSpec.signal": Object.keys(signals),
  "OptimizerSpec.computeDtype": computeDtypes,
  "PhaseSpec.preset": Object.keys(presets),
  "RewardSpec.kind": rewardKinds,
  "RoleSpec.device": devices,
  "RoleSpec.dtype": weightDtypes,
  "ServerSpec.dialect": Object.keys(dialects),
  "SignalSpec.kind": Object.keys(signals),
};

/** Choices between two or three ways that one function knows; the union of closed-values.ts holds it to them. */
const withoutTable = [
  "EvaluationSpec.selfBleuUnit",
  "ObjectiveSpec.balance",
  "ObjectiveSpec.baseline",
  "ObjectiveSpec.hiddenDtype",
  "ObjectiveSpec.normalisation",
  "OptimizerSpec.schedule",
  "SignalSpec.hiddenDtype",
  "SignalSpec.tokenizer",
  "TeacherSpec.tokenizer",
  "TokenSelectionSpec.by",
];

describe("the closed sets of the protos", () => {
  it.each(Object.entries(tables))("%s has the values of its table", (field, values) => {
    expect(inRules[field]).toEqual([...values].sort());
  });

  it("have a table, or are named as having none", () => {
    expect([...Object.keys(tables), ...withoutTable].sort()).toEqual(Object.keys(inRules));
  });

  it("are what closed-values.ts was generated from", () => {
    expect(closedValues).toEqual(inRules);
  });

  it("are not hidden in CEL", () => {
    expect(celExpressions.length).toBeGreaterThan(3);
    expect(celExpressions.filter((expression) => /\bin\s*\[|==\s*'[a-z]/.test(expression))).toEqual([]);
  });
});

describe("closedValue()", () => {
  it("passes what a field may have, and lists it for anything else", () => {
    expect(closedValue("OptimizerSpec.schedule", "cosine")).toBe("cosine");
    expect(() => closedValue("OptimizerSpec.schedule", "toString")).toThrow(/is "toString"; it must be one of constant, cosine, linear/);
  });
});
