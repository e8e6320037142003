import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EvaluationFinished, TeacherEvaluationSchema } from "../../shared/gen/retort/v1/events_pb.js";
import { type FigureOptions, type Figures, figuresOf, type JudgedSample } from "../../shared/ml/evaluation/figures.js";

/** One teacher's figures, as an evaluation reports them. */
type TeacherFigures = MessageInitShape<typeof TeacherEvaluationSchema>;

/** What the teachers of a run are measured by. */
export interface TeacherSamples {
  /** Names, in the spec's order. */
  readonly names: readonly string[];
  /** Who scores a held-out row. */
  readonly of: (row: number) => string;
  /** The student's greedy completions, and its samples at the first temperature. */
  readonly greedy: readonly JudgedSample[];
  readonly drawn: readonly JudgedSample[];
  /** Greedy completions that each teacher wrote itself; undefined where none was asked to. */
  readonly own: ReadonlyMap<string, readonly JudgedSample[]> | undefined;
  /** The evaluation before the first step, where this one follows it: what the teachers reach has been measured there. */
  readonly start: Pick<EvaluationFinished, "teachers"> | undefined;
}

/** The figures of an evaluation by teacher; those that score no row are left out. */
export function teacherFigures(samples: TeacherSamples, options: FigureOptions): TeacherFigures[] {
  return samples.names.flatMap((name) => {
    const isOwn = ({ prompt }: JudgedSample) => samples.of(prompt) === name;
    const greedy = samples.greedy.filter(isOwn);
    if (greedy.length === 0) return [];
    const best = figuresOf(greedy, { ...options, passAt: [] });
    const drawn = figuresOf(samples.drawn.filter(isOwn), { ...options, passAt: [] });
    return [
      {
        name,
        prompts: new Set(greedy.map(({ prompt }) => prompt)).size,
        ...{ greedy: best.quality, greedyReward: best.reward, sampled: drawn.quality, reward: drawn.reward },
        ...{ forwardKl: drawn.forwardKl, reverseKl: drawn.reverseKl, teacherNll: drawn.teacherNll },
        ...headroomOf(name, best, samples, options),
      },
    ];
  });
}

/** What a teacher reaches itself, and how much of the way there is recovered; nothing where it was not measured. */
function headroomOf(name: string, now: Figures, { own, start }: TeacherSamples, options: FigureOptions): Partial<TeacherFigures> {
  const before = start?.teachers.find((one) => one.name === name);
  const written = own?.get(name);
  const reached = written && figuresOf(written, { ...options, passAt: [] });
  const teacherGreedy = before ? before.teacherGreedy : reached?.quality;
  const teacherReward = before ? before.teacherReward : reached?.reward;
  return {
    teacherGreedy,
    teacherReward,
    recovered: recovered(now.quality, before ? before.greedy : now.quality, teacherGreedy),
    recoveredReward: recovered(now.reward, before ? before.greedyReward : now.reward, teacherReward),
  };
}

/** (now − start) / (teacher − start); undefined where one isn't known, or the teacher is no better than the student was at its start. */
export function recovered(now: number | undefined, start: number | undefined, teacher: number | undefined): number | undefined {
  if (now === undefined || start === undefined || teacher === undefined || teacher <= start) return undefined;
  return (now - start) / (teacher - start);
}
