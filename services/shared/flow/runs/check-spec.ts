import type { Problem } from "../../base/errors.js";
import type { RunSpec, RunSpecValid } from "../../gen/retort/v1/run_spec_pb.js";
import { ensembleProblems } from "./ensembles.js";
import { environmentProblems } from "./environment.js";
import { evaluationProblems } from "./evaluation.js";
import { followProblems } from "./follow.js";
import { ownTokenizerProblems } from "./own-tokenizers.js";
import { needsReward, needsScore, type Phase, type ResolvedRun, resolveRun, teacherName } from "./resolve.js";
import { rewardProblems } from "./rewards.js";
import { initProblems, sizeProblems } from "./sizes.js";
import { type SoundSpec, soundParts } from "./sound-spec.js";
import { teacherPromptProblems } from "./teacher-prompts.js";

/** A spec that was looked at by itself, without opening a model or a dataset. */
export interface ExaminedSpec extends SoundSpec {
  /** All that is wrong with the spec by itself, the broken rules first; empty if it may be looked at further. */
  readonly problems: readonly Problem[];
  /** What the sound parts of the spec make. */
  readonly run: ResolvedRun;
}

type IsSound = SoundSpec["isSound"];

/** Further checks of a spec's sound parts, for what records alone do not know: which objectives and tasks there are. */
export type MoreChecks = (spec: RunSpecValid, run: ResolvedRun) => readonly Problem[];

/** Finds everything that is wrong with a spec and can be seen without opening a model or a dataset: broken rules, and parts that do not go together. */
export function examineSpec(given: RunSpec, more: MoreChecks = () => []): ExaminedSpec {
  const sound = soundParts(given);
  const { spec, isSound } = sound;
  const run = resolveRun(spec);
  const found = [
    ...teacherProblems(spec, isSound),
    ...teacherPromptProblems(spec),
    ...ensembleProblems(spec, run),
    ...followProblems(spec, run),
    ...ownTokenizerProblems(spec, run),
    ...run.phases.flatMap((phase, i) => phaseProblems(phase, `phases[${i}]`, spec, isSound)),
    ...sizeProblems(run),
    ...(spec.student.init && isSound("student.init") ? initProblems(spec.student.init, spec.vocabSize) : []),
    ...more(spec, run),
    ...environmentProblems(spec),
    ...evaluationProblems(spec),
    ...rewardProblems(spec.rewards),
  ];
  return { ...sound, run, problems: [...sound.broken, ...sound.relevant(found)] };
}

/** What is wrong with the teachers' names, and with whom else the spec calls a teacher. */
function teacherProblems({ teachers, data, student }: RunSpecValid, isSound: IsSound): Problem[] {
  const problems: Problem[] = [];
  const problem = (fieldPath: string, description: string) => problems.push({ fieldPath, description });
  const names = teachers.flatMap(({ name }, i) => (isSound(`teachers[${i}].name`) ? teacherName(name) : []));
  for (const name of names.filter((name, i) => names.indexOf(name) !== i)) problem("teachers", `the name "${name}" is given twice`);
  if (teachers.length === 1 && teachers[0]?.weight !== undefined)
    problem("teachers[0].weight", `is ${teachers[0].weight}, and there is no other teacher to weigh against; leave it out`);
  const none = teachers.length === 0 && isSound("teachers");
  const { generate, path } = data;
  if (generate && none) problem("data.generate", "texts are written by a teacher, and `teachers` is empty");
  // One whose name is broken may be the one that is meant.
  else if (generate?.teacher && names.length > 0 && names.length === teachers.length && !names.includes(generate.teacher))
    problem("data.generate.teacher", `there is no teacher "${generate.teacher}"; teachers: ${names.join(", ")}`);
  if (generate && !path && !generate.texts) problem("data.generate.texts", "say how many texts to write");
  if (student.init && !student.init.tokenizer && none) problem("student.init.tokenizer", "name a model directory whose tokenizer to use");
  return problems;
}

/** What a phase needs and the run lacks, and what cannot be meant by it. */
function phaseProblems(phase: Phase, field: string, { teachers, rewards }: RunSpecValid, isSound: IsSound): Problem[] {
  const { objective, lambda, lambdaEnd } = phase;
  const problems: Problem[] = [];
  const problem = (fieldPath: string, description: string) => problems.push({ fieldPath, description });
  if (needsScore(objective) && teachers.length === 0 && isSound("teachers"))
    problem(field, `${objective.divergence} needs a teacher, and \`teachers\` is empty`);
  if (needsReward(objective) && rewards.length === 0 && isSound("rewards"))
    problem(`${field}.objective.alpha`, `alpha ${objective.alpha} weighs a reward, and \`rewards\` is empty`);
  if (objective.divergence === "cross_entropy" && lambda > 0)
    problem(`${field}.lambda`, "cross_entropy on the student's own samples teaches nothing; use lambda 0 or a divergence");
  if (objective.divergence === "constant_advantage" && Math.min(lambda, lambdaEnd) < 1)
    problem(
      `${field}.lambda`,
      `is ${Math.min(lambda, lambdaEnd)}: constant_advantage weighs what the student itself samples, and dataset text is not sampled; use lambda 1`,
    );
  if (objective.balance === "teachers" && (teachers.length < 2 || !needsScore(objective)))
    problem(
      `${field}.objective.balance`,
      `is teachers, and ${needsScore(objective) ? "there is no second one" : `${objective.divergence} asks none`}; leave it out`,
    );
  if (choosesWithoutSampling(phase))
    problem(
      `${field}.objective.signal`,
      `is student_top_k with lambda ${Math.min(lambda, lambdaEnd)}: the student chooses the classes while it samples, and dataset text is not sampled; use lambda 1, or top_k`,
    );
  return problems;
}

/** True if a phase has steps on dataset text, for which no student has chosen the classes that its signal asks about. */
const choosesWithoutSampling = ({ objective, lambda, lambdaEnd }: Phase): boolean =>
  needsScore(objective) && objective.signal === "student_top_k" && Math.min(lambda, lambdaEnd) < 1;
