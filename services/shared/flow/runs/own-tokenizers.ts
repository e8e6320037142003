import type { Problem } from "../../base/errors.js";
import type { RunSpecValid } from "../../gen/retort/v1/run_spec_pb.js";
import { needsScore, type Phase, type ResolvedRun, teacherName } from "./resolve.js";

/** What a spec asks of a teacher with its own tokenizer that isn't defined across tokenizers. */
export function ownTokenizerProblems(
  { teachers, data, evaluation, environment }: RunSpecValid,
  { phases, ownTokenizers }: ResolvedRun,
): Problem[] {
  const [first] = ownTokenizers;
  if (first === undefined) return [];
  const why = `the teacher "${first}" has a tokenizer of its own (teachers[].tokenizer)`;
  const problems = phases.flatMap((phase, i) =>
    phaseProblems(phase, why).map(({ fieldPath, description }) => ({ fieldPath: `phases[${i}].${fieldPath}`, description })),
  );
  const problem = (fieldPath: string, description: string) => problems.push({ fieldPath, description });
  for (const [i, { ensemble, tokenizer, name }] of teachers.entries())
    if (tokenizer === "own" && ensemble.length > 0)
      problem(
        `teachers[${i}].ensemble`,
        `is mixed token by token, and the teacher "${teacherName(name)}" has a tokenizer of its own (teachers[].tokenizer); leave one of them out`,
      );
  const { generate } = data;
  const writer = generate && (generate.teacher || teacherName(teachers[0]?.name ?? ""));
  if (writer && ownTokenizers.includes(writer))
    problem(
      "data.generate.teacher",
      `is "${writer}", which has a tokenizer of its own: it writes no tokens of the student; have it write a file, and name that in data.path`,
    );
  if (environment)
    problem(
      "environment",
      `answers between turns, and ${why}: across tokenizers, one text behind a prompt is compared; leave one of them out`,
    );
  if (evaluation?.headroom)
    problem("evaluation.headroom", `has the teachers write answers, and ${why}: it writes no tokens of the student; leave it out`);
  const figure = evaluation?.keepBest;
  if (figure === "forward_kl" || figure === "reverse_kl")
    problem(
      "evaluation.keepBest",
      `is ${figure}, and ${why}: there is no divergence between distributions over different tokens; use teacher_nll`,
    );
  return problems;
}

function phaseProblems({ objective, lambda, lambdaEnd }: Phase, why: string): Problem[] {
  if (!needsScore(objective)) return [];
  const { divergence, signal, klBaseline, tokens, alpha } = objective;
  const problems: Problem[] = [];
  const problem = (field: string, description: string) => problems.push({ fieldPath: field, description });
  if (divergence === "opd" && signal !== "sampled")
    problem("objective.signal", `is ${signal}, and ${why}: opd then compares what both wrote alone; use sampled`);
  if (divergence !== "opd" && signal !== "top_k")
    problem(
      "objective.signal",
      `is ${signal}, and ${why}: of distributions over other tokens, the most probable classes are compared; use top_k, or opd with sampled`,
    );
  if (divergence !== "opd" && tokens)
    problem("objective.tokens", `chooses among all tokens, and ${why}, so that it says something of some; leave it out, or use opd`);
  if (divergence === "uld" && alpha < 1)
    problem("objective.alpha", `is ${alpha}, and ${why}: uld then compares one token of each span, and a reward is for all; use 1`);
  if (klBaseline) problem("objective.klBaseline", `needs a distribution over the student's tokens, and ${why}; leave it out`);
  const least = Math.min(lambda, lambdaEnd);
  if (least < 1) problem("lambda", `is ${least}, and ${why}: what is compared is the text that the student samples; use 1`);
  return problems;
}
