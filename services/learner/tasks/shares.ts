import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { defined } from "../../shared/base/defined.js";
import type { Item } from "../../shared/codec/examples.js";
import { acrossTokenizers } from "../../shared/codec/signal-spec.js";
import { toRecord } from "../../shared/flow/arrays.js";
import { taskSeed } from "../../shared/flow/prompts/plan.js";
import { publishTasks } from "../../shared/flow/prompts/publish-task.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import type { ResolvedRun, SamplingSettings } from "../../shared/flow/runs/resolve.js";
import type { ConversationSchema } from "../../shared/gen/retort/v1/conversation_pb.js";
import { type PromptSchema, type PromptTask, PromptTaskSchema, type SignalSpecSchema } from "../../shared/gen/retort/v1/flow_pb.js";
import type { WireConversation } from "../../shared/ml/text/conversation.js";
import type { PlannedPrompt, PlannedTask } from "./planned-task.js";

/** A signal as records are made with it. */
export type SignalInit = MessageInitShape<typeof SignalSpecSchema>;

/** The rows of one task, and the teacher that scores them all. */
export interface Share {
  /** Empty for rows that are not scored. */
  readonly teacher: string;
  readonly signal: SignalInit | undefined;
  readonly items: readonly Item[];
  /** The items' rows of the dataset. */
  readonly rows: readonly number[];
}

/**
 * One task per share of rows that have the same teacher.
 *
 * @param tasks rows that would go together, were there one teacher
 * @param run its teachers: the first one scores rows that name none; those with their own tokenizer are asked for what can be compared
 * @param signal undefined where nothing is scored
 * @param across what teachers with their own tokenizer are asked instead
 */
export function sharesOf(
  tasks: readonly (readonly number[])[],
  items: readonly Item[],
  { teachers, ownTokenizers }: Pick<ResolvedRun, "teachers" | "ownTokenizers">,
  signal: SignalInit | undefined,
  across = signal && acrossTokenizers(signal),
): Share[] {
  const signalOf = (teacher: string) => (ownTokenizers.includes(teacher) ? across : signal);
  return tasks.flatMap((rows) => {
    const byTeacher = new Map<string, number[]>();
    for (const row of rows) {
      const teacher = signal ? items[row]!.teacher || teachers[0]! : "";
      byTeacher.set(teacher, [...(byTeacher.get(teacher) ?? []), row]);
    }
    return [...byTeacher].map(([teacher, own]) => ({
      ...{ teacher, signal: signalOf(teacher), rows: own },
      items: own.map((row) => items[row]!),
    }));
  });
}

/** What a planned task says of its share. @param sampler the teacher that writes it; empty for the student */
export function plannedShare(share: Share, sampler = ""): Pick<PlannedTask, "prompts" | "teacher" | "signal"> {
  const { items, rows, teacher, signal } = share;
  return {
    prompts: items.map((item, i) => ({ row: rows[i]!, ids: item.promptIds, ...forTeacher(item, teacher || sampler) })),
    teacher,
    signal: signal && { kind: signal.kind ?? "", k: signal.k ?? 0, tokenizer: signal.tokenizer ?? "" },
  };
}

/** The prompt that a teacher reads instead of the student's; nothing where no teacher does. */
const forTeacher = ({ teacherPromptIds, teacherEndId }: Item, reader: string): Pick<PlannedPrompt, "teacherPromptIds" | "teacherEndId"> =>
  reader && teacherPromptIds ? defined({ teacherPromptIds, teacherEndId }) : {};

/** How planned tasks are written. */
export interface Handout {
  readonly sampling: SamplingSettings;
  /** The teacher that writes; empty for the student. */
  readonly sampler: string;
  /** Prompts that are written together, of one task or several. */
  readonly promptsTogether: number;
}

/** Hands planned tasks to those who sample them, `planned[i]` that of `shares[i]`. */
export async function publishShares(
  { streams, run }: Membership,
  shares: readonly Share[],
  planned: readonly PlannedTask[],
  { sampling, sampler, promptsTogether }: Handout,
): Promise<void> {
  const tasks = shares.map((share, i) => taskOf(run, share, planned[i]!, sampling, sampler));
  await publishTasks(streams, tasks, promptsTogether);
}

/** As a record has it. What a template is given is JSON. */
const recordOf = ({ messages, chatTemplateKwargs, ...rest }: WireConversation): MessageInitShape<typeof ConversationSchema> => ({
  ...rest,
  messages: [...messages],
  ...(chatTemplateKwargs && { chatTemplateKwargs: chatTemplateKwargs as JsonObject }),
});

function taskOf(
  run: ResolvedRun,
  { items, teacher, signal }: Share,
  { key, prompts: planned, samplesPerPrompt, versions, rewarded }: PlannedTask,
  sampling: SamplingSettings,
  sampler: string,
): PromptTask {
  const prompts = planned.map(({ row, ids, teacherPromptIds, teacherEndId }, i): MessageInitShape<typeof PromptSchema> => {
    const { promptText, reference, conversation } = items[i]!;
    const own = teacherPromptIds && defined({ teacherPromptIds: toRecord(teacherPromptIds), teacherEndId });
    return {
      index: row,
      ids: toRecord(ids),
      text: promptText,
      reference,
      ...own,
      ...(conversation && { conversation: recordOf(conversation) }),
    };
  });
  return create(PromptTaskSchema, {
    ...{ key, prompts, samplesPerPrompt, sampling, sampler, teacher, signal, rewarded },
    seed: taskSeed(run, key.purpose, key.step, key.task),
    minPolicyVersion: versions.min,
    maxPolicyVersion: versions.max,
    deadline: timestampFromMs(Date.now() + run.stepTimeoutMs),
  });
}
