import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { publish } from "../../shared/base/streams/publish.js";
import { subjects } from "../../shared/flow/subjects.js";
import { StepAccountSchema } from "../../shared/gen/retort/v1/flow_pb.js";
import type { RunContext } from "../context/run-context.js";
import type { PlannedTask } from "../tasks/planned-task.js";
import type { SampleFailure } from "../tasks/sample.js";
import type { Assembled } from "./assemble.js";

/** Writes into the ledger that this learner goes on behind a step: what an earlier one had trained beyond it counts no more. */
export const recordStart = (context: RunContext, fromStep: number): Promise<void> => write(context, { step: 0, fromStep });

/** Writes into the ledger what became of every sample of a step. It stays as long as the run is kept. */
export async function recordStep(
  context: RunContext,
  step: number,
  fromStep: number,
  planned: readonly PlannedTask[],
  { trained, failures }: Pick<Assembled, "trained" | "failures">,
): Promise<void> {
  const tasks = planned.map(({ prompts, samplesPerPrompt }, task) => ({
    task,
    rows: prompts.map(({ row }) => row),
    samplesPerPrompt,
    trained: new Uint8Array(Math.ceil((prompts.length * samplesPerPrompt) / 8)),
    outcomes: [] as Omit<SampleFailure, "task">[],
  }));
  for (const { task, prompt, sample } of trained) setBit(tasks[task]!.trained, prompt * tasks[task]!.samplesPerPrompt + sample);
  for (const { task, ...outcome } of failures) tasks[task]!.outcomes.push(outcome);
  await write(context, { step, fromStep, tasks });
}

async function write(
  { membership: { streams, runId }, fence }: RunContext,
  fields: MessageInitShape<typeof StepAccountSchema> & { readonly step: number },
) {
  const { step } = fields;
  const account = create(StepAccountSchema, { ...fields, runId, fence });
  await publish(streams, subjects.account(runId, fence, step), toBinary(StepAccountSchema, account), {
    messageId: `${runId}/account/${fence}/${step}`,
  });
}

function setBit(bits: Uint8Array, at: number): void {
  bits[at >> 3]! |= 1 << (at & 7);
}
