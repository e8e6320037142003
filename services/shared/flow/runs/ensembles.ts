import type { Problem } from "../../base/errors.js";
import type { RunSpecValid, TeacherSpec } from "../../gen/retort/v1/run_spec_pb.js";
import { needsScore, type ResolvedRun, teacherName } from "./resolve.js";

/** A model of a teacher, and its share of the teacher's distribution. */
export interface MixedModel {
  readonly model: string;
  readonly share: number;
}

/** The models that a teacher's distribution is a mixture of, its own first; of one model, that one. The shares add up to 1. */
export function mixedModels({ model, ensemble }: Pick<TeacherSpec, "ensemble" | "model">): MixedModel[] {
  const all = [{ model, weight: 1 }, ...ensemble.map((member) => ({ model: member.model, weight: member.weight ?? 1 }))];
  const total = all.reduce((sum, { weight }) => sum + weight, 0);
  return all.map((one) => ({ model: one.model, share: one.weight / total }));
}

/** What a run asks of ensembles that they can't do. */
export function ensembleProblems({ teachers, data, evaluation }: RunSpecValid, { phases }: ResolvedRun): Problem[] {
  const problems: Problem[] = [];
  const problem = (fieldPath: string, description: string) => problems.push({ fieldPath, description });
  for (const [i, { ensemble, server, name }] of teachers.entries()) {
    if (ensemble.length === 0) continue;
    const who = `the teacher "${teacherName(name)}" is an ensemble`;
    if (server)
      problem(
        `teachers[${i}].ensemble`,
        "is mixed where the models run, and `server` runs this teacher's elsewhere; leave one of them out",
      );
    const isWriter = data.generate && (data.generate.teacher ? data.generate.teacher === teacherName(name) : i === 0);
    if (isWriter) problem("data.generate.teacher", `${who}, which writes no texts; name a teacher of one model`);
    if (evaluation?.headroom)
      problem("evaluation.headroom", `${who}, which writes no texts, so what it reaches itself can't be measured; leave it out`);
    phases.forEach(({ objective }, p) => {
      if (needsScore(objective) && objective.signal === "random_k")
        problem(
          `phases[${p}].objective.signal`,
          `is random_k, and ${who}, whose draws can't be told from its models'; use top_k, full or hidden`,
        );
    });
  }
  return problems;
}
