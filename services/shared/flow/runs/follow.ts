import { normalize } from "node:path";
import type { Problem } from "../../base/errors.js";
import type { FollowSpec, RunSpecValid, TeacherSpec } from "../../gen/retort/v1/run_spec_pb.js";

/** The folder of a stored version with the average of its weights, where teachers are that. */
export const averageFolder = "average";

/** Whether a file of a version is of its average. */
export const isOfAverage = (name: string): boolean => name.startsWith(`${averageFolder}/`);

/** How the teachers of a run that are the student go on with it; as FollowSpec in run_spec.proto. */
export interface FollowSettings {
  /** Their names. */
  readonly teachers: readonly string[];
  /** 1 where they are an average, which each version has. */
  readonly everySteps: number;
  /** Of the average of the student's weights that they are, in (0, 1); undefined where they are the student itself. */
  readonly decay?: number;
}

/** What decides which version a teacher has; as in the resolved run. */
interface FollowedRun {
  readonly follow: FollowSettings | undefined;
  readonly maxStaleness: number;
}

/** How a run's teachers follow its student; undefined where none does. @param names of the teachers, in their order */
export function resolveFollow(teachers: readonly Pick<TeacherSpec, "follow">[], names: readonly string[]): FollowSettings | undefined {
  const how = howOf(teachers);
  return how && { teachers: names.filter((_, i) => isHow(teachers[i]?.follow)), ...how };
}

type How = Omit<FollowSettings, "teachers">;

/** False for one of which a broken rule has left nothing. */
const isHow = (follow: FollowSpec | undefined): follow is FollowSpec => Boolean(follow?.everySteps || follow?.ema);

/** How the first teacher that follows does so. */
function howOf(teachers: readonly Pick<TeacherSpec, "follow">[]): How | undefined {
  const first = teachers.map(({ follow }) => follow).find(isHow);
  if (!first) return undefined;
  return first.ema === undefined ? { everySteps: first.everySteps || 1 } : { everySteps: 1, decay: first.ema };
}

/** The newest version up to this one that a teacher may have. */
export const newestFollowed = ({ everySteps }: Pick<FollowSettings, "everySteps">, version: number): number =>
  Math.floor(version / everySteps) * everySteps;

/**
 * The student's version that the teachers which follow it have for a step. It is there before the step's completions are sampled, and
 * grows with the step.
 *
 * @param fromStep the step behind which the learner goes on: a checkpoint brings the newest version that a teacher may then have, and
 *   none before it
 */
export function followedVersion(
  follow: Pick<FollowSettings, "everySteps">,
  { step, maxStaleness, fromStep }: { readonly step: number; readonly maxStaleness: number; readonly fromStep: number },
): number {
  return newestFollowed(follow, Math.max(0, step - 1 - maxStaleness, newestFollowed(follow, fromStep)));
}

/** What a task for a teacher says of its version; nothing of a teacher that stays as it is. @param place as of {@link followedVersion} */
export function teacherVersion(
  { follow, maxStaleness }: FollowedRun,
  teacher: string,
  place: { readonly step: number; readonly fromStep: number },
): { readonly teacherVersion?: number } {
  return follow?.teachers.includes(teacher) ? { teacherVersion: followedVersion(follow, { ...place, maxStaleness }) } : {};
}

/** Whether a stored version may still be asked for by a teacher when the next step is this one. */
export const isStillFollowed = ({ follow, maxStaleness }: FollowedRun, version: number, step: number) =>
  follow !== undefined && version % follow.everySteps === 0 && version >= followedVersion(follow, { step, maxStaleness, fromStep: 0 });

/** What a spec asks of teachers that follow its student, and can't be. */
export function followProblems(
  { teachers, student }: RunSpecValid,
  run: { readonly maxStaleness: number; readonly totalSteps: number },
): Problem[] {
  const how = howOf(teachers);
  return teachers.flatMap(({ follow, model, server, shared, ensemble, tokenizer }, i): Problem[] => {
    if (!follow) return [];
    const problem = (field: string, description: string) => ({ fieldPath: `teachers[${i}].${field}`, description });
    const problems: Problem[] = [];
    if (server)
      problems.push(
        problem("follow", "brings the student's weights to this teacher, and `server` runs it elsewhere; leave one of them out"),
      );
    if (shared)
      problems.push(problem("follow", "gives this teacher the weights of one run, and `shared` lets runs share it; leave one of them out"));
    if (ensemble.length > 0)
      problems.push(problem("follow", "is for a teacher of one model, and this is an ensemble; leave one of them out"));
    if (tokenizer)
      problems.push(problem("tokenizer", `is ${tokenizer}, and a teacher that follows the student has the student's; leave it out`));
    if (student.init)
      problems.push(
        problem(
          "follow",
          "is for a teacher that begins as the student, and student.init begins with no model; give student.model, or leave it out",
        ),
      );
    else if (normalize(model) !== normalize(student.model))
      problems.push(
        problem("model", `is ${model}, and a teacher that follows the student is ${student.model}; name that, or leave \`follow\` out`),
      );
    const own = howOf([{ follow }]);
    if (!own || !how) return problems;
    if (inWords(own) !== inWords(how))
      problems.push(
        problem("follow", `is ${inWords(own)}, and that of another teacher ${inWords(how)}; all that follow the student do so in one way`),
      );
    const { maxStaleness, totalSteps } = run;
    if (totalSteps > 0 && followedVersion(own, { step: totalSteps, maxStaleness, fromStep: 0 }) === 0)
      problems.push(
        problem(
          "follow",
          `is ${inWords(own)}, and the last step, ${totalSteps}, is taught by a version at least ${1 + maxStaleness} steps old: the teacher would stay as it is; take fewer everySteps or more steps, or leave \`follow\` out`,
        ),
      );
    return problems;
  });
}

const inWords = ({ everySteps, decay }: How): string => (decay === undefined ? `everySteps ${everySteps}` : `ema ${decay}`);
