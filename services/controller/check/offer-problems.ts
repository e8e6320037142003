import type { Problem } from "../../shared/base/errors.js";
import { needsScore, type ResolvedRun, teacherName } from "../../shared/flow/runs/resolve.js";
import type { RunSpecValid } from "../../shared/gen/retort/v1/run_spec_pb.js";
import type { SignalKind } from "../../shared/ml/signals/table.js";
import type { NamedModel } from "./named-model.js";

/** What each kind of signal is made of, at every token: why a server that sends a few log-probabilities may not give it. */
const madeOf: Readonly<Record<SignalKind, string>> = {
  full: "the log-probabilities of all classes",
  hidden: "the teacher's hidden state, and its head's weights in the learner",
  random_k: "draws from the distribution over all classes",
  sampled: "the given token's log-probability",
  student_top_k: "the log-probabilities of the classes that the student has chosen",
  top_k: "the log-probabilities of the most probable classes, by id",
};

/** What a run asks of teachers elsewhere that these don't give, and what it says of processes that there are none of. */
export function offerProblems(spec: RunSpecValid, run: ResolvedRun, teachers: readonly NamedModel[]): Problem[] {
  return [
    ...teachers.flatMap((teacher) => [...signalProblems(run, teacher), ...writingProblems(spec, teacher)]),
    ...idleSettings(spec, teachers),
  ];
}

function signalProblems({ phases }: ResolvedRun, { name, offer }: NamedModel): Problem[] {
  if (!offer) return [];
  const gives = offer.signals.map((kind) => (kind === "top_k" ? `top_k with k up to ${offer.largestK}` : kind)).join(" and ");
  return phases.flatMap(({ objective }, i): Problem[] => {
    if (!needsScore(objective)) return [];
    const { signal, k, teacherTemperature } = objective;
    const problem = (field: string, description: string): Problem => ({ fieldPath: `phases[${i}].objective.${field}`, description });
    const who = `${name}, ${offer.source}, gives ${gives}`;
    if (!offer.signals.includes(signal))
      return [problem("signal", `is ${signal}, which needs ${madeOf[signal]}; ${who}: name one of these, or leave \`server\` out`)];
    return [
      ...(signal === "top_k" && k > offer.largestK ? [problem("topK", `is ${k}; ${who} (vLLM: --max-logprobs)`)] : []),
      ...(teacherTemperature === 1
        ? []
        : [problem("teacherTemperature", `is ${teacherTemperature}; ${who} at temperature 1 alone, of which another's do not follow`)]),
    ];
  });
}

function writingProblems({ data, teachers, evaluation }: RunSpecValid, { name, offer, field }: NamedModel): Problem[] {
  if (offer && evaluation?.headroom)
    return [
      {
        fieldPath: "evaluation.headroom",
        description: `${name}, ${offer.source}, only scores, so what it reaches itself can't be measured; leave it out`,
      },
    ];
  const writer = teachers.findIndex((one) => !data.generate?.teacher || teacherName(one.name) === data.generate.teacher);
  if (!offer || !data.generate || field !== `teachers[${writer}].model`) return [];
  const description = `${name}, ${offer.source}, only scores; have it write a file, and name that in data.path`;
  return [{ fieldPath: "data.generate.teacher", description }];
}

/** Settings of the teachers' processes, where no model is in any of them. */
function idleSettings({ roles }: RunSpecValid, teachers: readonly NamedModel[]): Problem[] {
  if (teachers.length === 0 || !teachers.every(({ offer }) => offer)) return [];
  return (["device", "dtype", "threads"] as const)
    .filter((setting) => roles?.teacher?.[setting])
    .map((setting) => ({
      fieldPath: `roles.teacher.${setting}`,
      description: `is ${roles?.teacher?.[setting]}, and no teacher's model runs here (teachers[].server); leave it out`,
    }));
}
