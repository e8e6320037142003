import { normals } from "../../../../../services/shared/base/random.js";
import { Graph } from "../../../../../services/shared/ml/graph/graph.js";
import { float32, int32, type Tensor } from "../../../../../services/shared/ml/graph/tensor.js";
import type { Objective } from "../../../../../services/shared/ml/losses/objective.js";
import { overlapClasses } from "../../../../../services/shared/ml/losses/overlap.js";
import { declareRows, rowLosses, rowReports } from "../../../../../services/shared/ml/losses/row-losses.js";
import { Session } from "../../../../../services/shared/ml/runtime/session.js";
import { signalKinds } from "../../../../../services/shared/ml/signals/table.js";
import { expectAllClose } from "../../../../support/jest/all-close.js";
import { chosenClasses, largestClasses, logSoftmaxRows } from "../../../../support/loss/distributions.js";
import { plainObjective } from "../../../../support/loss/loss.js";

const [rows, vocab, width, k] = [6, 40, 4, 12];
const head = normals(3n, vocab * width, 1);
const hidden = normals(4n, rows * width, 1);
const student = Array.from(normals(5n, rows * vocab, 1));
const teacher = logSoftmaxRows(
  Array.from({ length: rows * vocab }, (_, at) => {
    const [n, v] = [Math.floor(at / vocab), at % vocab];
    return Array.from({ length: width }, (_, d) => hidden[n * width + d]! * head[v * width + d]!).reduce((a, b) => a + b);
  }),
  vocab,
);

/** The share of a model's most probable classes that another's have too, by sorting: what the graph is held against. */
function overlapOf(theirs: readonly number[][], own: readonly number[][], count: number): number[] {
  return theirs.map((classes, n) => classes.slice(0, count).filter((v) => own[n]!.slice(0, count).includes(v)).length / count);
}

const byStudent = largestClasses(student, vocab, vocab);
const byTeacher = largestClasses(teacher, vocab, vocab);

async function overlapIn(settings: Partial<Objective>, signal: Record<string, Tensor>): Promise<number[]> {
  const objective = { ...plainObjective, k, ...settings };
  const graph = new Graph("overlap");
  const logits = graph.input("logits", "float32", ["R", vocab]);
  const { reports } = rowLosses(objective, logits, declareRows(graph, objective, "R", vocab));
  graph.output("overlap", reports.overlap!);
  const session = await Session.create(graph, { device: "cpu", threads: 1 });
  const zeros = float32(new Float32Array(rows), [rows]);
  const names = ["weights", "samplerLogprobs", "sampled", "advantages", "teacherLogprobs"];
  const feeds = { logits: float32(student, [rows, vocab]), labels: int32(new Int32Array(rows), [rows]), ...signal };
  const outputs = await session.run({ ...Object.fromEntries(names.map((name) => [name, zeros])), ...feeds });
  await session.release();
  return Array.from(outputs.overlap!.data as Float32Array);
}

const topFeeds = (classes: number[][]) => {
  const { ids, top, tail } = chosenClasses(teacher, vocab, classes);
  return { "signal.ids": int32(ids!, [rows, k]), "signal.top": float32(top!, [rows, k]), "signal.tail": float32(tail!, [rows]) };
};

describe("the overlap of teacher's and student's most probable classes", () => {
  const whole = { "signal.full": float32(teacher, [rows, vocab]) };
  const states = { "signal.hidden": float32(hidden, [rows, width]), "signal.head": float32(head, [vocab, width]) };

  it("is what sorting finds, from the whole distribution and from hidden states, at any temperature", async () => {
    const expected = overlapOf(byTeacher, byStudent, 10);
    expect(new Set(expected).size).toBeGreaterThan(1);
    expectAllClose(await overlapIn({}, whole), expected, { atol: 1e-6 });
    expectAllClose(await overlapIn({ studentTemperature: 3, divergence: "jsd" }, whole), expected, { atol: 1e-6 });
    expectAllClose(await overlapIn({ signal: "hidden", teacherTemperature: 0.4 }, states), expected, { atol: 1e-6 });
    expectAllClose(await overlapIn({ signal: "hidden", divergence: "opd" }, states), expected, { atol: 1e-6 });
  });

  it("is the same from the teacher's classes, in whatever order they come", async () => {
    const own = byTeacher.map((classes) => classes.slice(0, k));
    const expected = overlapOf(byTeacher, byStudent, 10);
    expectAllClose(await overlapIn({ signal: "top_k" }, topFeeds(own)), expected, { atol: 1e-6 });
    expectAllClose(await overlapIn({ signal: "top_k" }, topFeeds(own.map((ids) => ids.toReversed()))), expected, { atol: 1e-6 });
  });

  it("is over the classes that the student chose, a quarter of them, where it chose", async () => {
    const chosen = byStudent.map((classes) => classes.slice(0, k));
    const among = chosen.map((classes, n) => classes.toSorted((a, b) => teacher[n * vocab + b]! - teacher[n * vocab + a]!));
    expectAllClose(await overlapIn({ signal: "student_top_k" }, topFeeds(chosen)), overlapOf(among, byStudent, 3), { atol: 1e-6 });
  });

  it("is 1 of a model with itself", async () => {
    const same = { "signal.full": float32(logSoftmaxRows(student, vocab), [rows, vocab]) };
    expect(await overlapIn({}, same)).toEqual(new Array(rows).fill(1));
  });

  it("is reported where a distribution is sent and read, and nowhere else", () => {
    const reported = signalKinds.filter((signal) => rowReports({ ...plainObjective, signal }).includes("overlap"));
    expect(reported).toEqual(["full", "hidden", "student_top_k", "top_k"]);
    for (const settings of [{ alpha: 0 }, { divergence: "cross_entropy" }, { divergence: "opd" }] as const)
      expect(rowReports({ ...plainObjective, ...settings })).not.toContain("overlap");
  });

  it("is over 16 classes, fewer where more would be shared by chance", () => {
    expect(overlapClasses("full", 3, 151_936)).toBe(16);
    expect(overlapClasses("full", 3, 40)).toBe(10);
    expect(overlapClasses("top_k", 5, 151_936)).toBe(5);
    expect(overlapClasses("student_top_k", 64, 151_936)).toBe(16);
    expect(overlapClasses("student_top_k", 3, 151_936)).toBe(1);
    expect(overlapClasses("hidden", 64, 3)).toBe(1);
  });
});
