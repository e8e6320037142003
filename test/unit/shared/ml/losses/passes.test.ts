import { gradientsOf } from "../../../../../services/shared/ml/autodiff/gradients.js";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { liveParts } from "../../../../../services/shared/ml/graph/prune.js";
import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import { declareRows, rowLosses } from "../../../../../services/shared/ml/losses/row-losses.js";
import { plainObjective } from "../../../../support/loss/loss.js";

/** How many nodes of each operator a loss over the vocabulary has, with its gradient and its reports. */
function passesOf(settings: Partial<Objective>): Record<string, number> {
  const graph = new Graph("loss");
  const objective: Objective = { ...plainObjective, ...settings };
  const logits = graph.input("logits", "float32", ["R", 64]);
  const { loss, reports } = rowLosses(objective, logits, declareRows(graph, objective, "R", 64));
  graph.output("gradient", gradientsOf(loss, [logits])[0]!);
  for (const [name, value] of Object.entries(reports)) graph.output(name, value);
  const counts: Record<string, number> = {};
  for (const { op, outputs } of liveParts(graph).nodes)
    if (outputs[0]!.shape[1] === 64 || op === "Expand") counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

describe("the passes of a loss over the vocabulary", () => {
  it("make each distribution once, for the loss, its gradient and its reports", () => {
    expect(passesOf({ divergence: "jsd", beta: 0.5 })).toMatchObject({ LogSoftmax: 1, Exp: 2, Log: 1 });
    expect(passesOf({ divergence: "forward_kl" })).toMatchObject({ LogSoftmax: 1, Exp: 2 });
    expect(passesOf({ divergence: "reverse_kl" })).toMatchObject({ LogSoftmax: 1, Exp: 1 });
  });

  it("make another one of logits at another temperature", () => {
    expect(passesOf({ divergence: "jsd", beta: 0.5, studentTemperature: 2 })).toMatchObject({ LogSoftmax: 2, Exp: 3 });
  });

  it("don't repeat a row's share of the gradient for each class", () => {
    expect(passesOf({ divergence: "jsd", beta: 0.5 })).not.toHaveProperty("Expand");
    expect(passesOf({ divergence: "forward_kl" })).not.toHaveProperty("Expand");
  });
});
