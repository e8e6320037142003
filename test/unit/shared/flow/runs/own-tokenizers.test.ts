import { checkSpec } from "../../../../support/runs/check-spec.js";
import { specOf } from "../../../../support/runs/run-spec.js";

describe("ownTokenizerProblems()", () => {
  const own = { teachers: [{ model: "/a", tokenizer: "own" }] };
  const opd = { phases: [{ steps: 1, preset: "opd" }] };
  it("finds nothing wrong with opd or a divergence over classes, beside a teacher of the student's tokenizer, or in a pool", () => {
    expect(checkSpec(specOf({ ...own, ...opd }))).toEqual([]);
    const classes = { signal: "top_k", topK: 8 };
    expect(checkSpec(specOf({ ...own, phases: [{ steps: 1, preset: "on_policy_kd", lambda: 1, objective: classes }] }))).toEqual([]);
    const ranks = { ...classes, divergence: "uld" };
    expect(checkSpec(specOf({ ...own, phases: [{ steps: 1, preset: "on_policy_kd", lambda: 1, objective: ranks }] }))).toEqual([]);
    expect(
      checkSpec(
        specOf({
          teachers: [
            { model: "/a", tokenizer: "own", shared: {} },
            { name: "b", model: "/b" },
          ],
          ...opd,
        }),
      ),
    ).toEqual([]);
  });

  it.each<[string, Parameters<typeof specOf>[0], string, RegExp]>([
    [
      "whole distributions across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "on_policy_kd" }] },
      "phases[0].objective.signal",
      /is full, and the teacher "default" has a tokenizer of its own .*use top_k, or opd with sampled/,
    ],
    [
      "a choice of tokens across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "on_policy_kd", objective: { signal: "top_k", topK: 8, tokens: { by: "entropy" } } }] },
      "phases[0].objective.tokens",
      /chooses among all tokens, .*or use opd/,
    ],
    [
      "ranks of another signal across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "on_policy_kd", objective: { divergence: "uld", signal: "hidden" } }] },
      "phases[0].objective.signal",
      /is hidden, .*use top_k/,
    ],
    [
      "ranks of texts that the student didn't write, across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "gkd", lambda: 0.5, objective: { divergence: "uld", signal: "top_k", topK: 8 } }] },
      "phases[0].lambda",
      /is 0.5, .*use 1/,
    ],
    [
      "ranks beside a reward across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "rl_gkd", objective: { divergence: "uld", signal: "top_k", topK: 8 } }] },
      "phases[0].objective.alpha",
      /is 0.5, .*uld then compares one token of each span, and a reward is for all; use 1/,
    ],
    [
      "another signal of opd across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "opd", objective: { signal: "top_k" } }] },
      "phases[0].objective.signal",
      /is top_k, .*use sampled/,
    ],
    [
      "a baseline across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "opd", objective: { klBaseline: true, signal: "sampled" } }] },
      "phases[0].objective.klBaseline",
      /needs a distribution over the student's tokens/,
    ],
    [
      "dataset texts across tokenizers",
      { ...own, phases: [{ steps: 1, preset: "opd", lambda: 0.5 }] },
      "phases[0].lambda",
      /is 0.5, .*use 1/,
    ],
    [
      "texts by a teacher with its own tokenizer",
      { ...own, data: { path: "/d.jsonl", generate: {} }, ...opd },
      "data.generate.teacher",
      /is "default", which has a tokenizer of its own/,
    ],
    [
      "the best by a divergence across tokenizers",
      { ...own, evaluation: { path: "/e.jsonl", keepBest: "reverse_kl" }, ...opd },
      "evaluation.keepBest",
      /is reverse_kl, .*use teacher_nll/,
    ],
    [
      "what the teacher reaches itself",
      { ...own, evaluation: { path: "/e.jsonl", headroom: true }, ...opd },
      "evaluation.headroom",
      /the teacher "default" has a tokenizer of its own .*it writes no tokens of the student/,
    ],
    [
      "an ensemble",
      { teachers: [{ model: "/a", tokenizer: "own", ensemble: [{ model: "/b" }] }], ...opd },
      "teachers[0].ensemble",
      /is mixed token by token, and the teacher "default" has a tokenizer of its own/,
    ],
    [
      "turns with an environment",
      { ...own, environment: { kind: "calculator" }, ...opd },
      "environment",
      /answers between turns, and the teacher "default" has a tokenizer of its own/,
    ],
  ])("refuses %s", (_, fields, fieldPath, description) => {
    const problems = checkSpec(specOf(fields));
    expect(problems.map((problem) => problem.fieldPath)).toContain(fieldPath);
    expect(problems.find((problem) => problem.fieldPath === fieldPath)!.description).toMatch(description);
  });
});
