import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../../shared/base/errors.js";
import { machineInWords, softwareInWords } from "../../shared/base/machine.js";
import { lastMessage } from "../../shared/base/streams/read.js";
import type { RecordSize } from "../../shared/codec/task-capacity.js";
import { readRecord } from "../../shared/flow/read-record.js";
import { announceModel } from "../../shared/flow/runs/events.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import { outputProblems } from "../../shared/flow/runs/output.js";
import { type Phase, phaseOf } from "../../shared/flow/runs/resolve.js";
import { streamNames } from "../../shared/flow/streams.js";
import { subjects } from "../../shared/flow/subjects.js";
import { StepAccountSchema } from "../../shared/gen/retort/v1/flow_pb.js";
import { CheckpointSavedSchema } from "../../shared/gen/retort/v1/run_pb.js";
import { broughtVersion } from "../context/followed-versions.js";
import { publishWeights } from "../context/publish-weights.js";
import type { RunContext } from "../context/run-context.js";
import { type PreparedData, prepareData } from "../data/prepare-data.js";
import type { Stored } from "../model/checkpoint-state.js";
import type { Checkpoints } from "../model/checkpoints.js";
import { studentSource } from "../model/student-source.js";
import { keepHead, loadHeads } from "../model/teacher-heads.js";
import type { HostOptions } from "../model/train-host.js";
import { recordStart } from "../step/account.js";
import { Trackers } from "../tracking/trackers.js";

/** What a run needs before its first step. */
export interface PreparedRun {
  /** The step of the checkpoint that it goes on from, or 0. */
  readonly step: number;
  readonly data: PreparedData;
  readonly recordSize: RecordSize;
}

/**
 * Loads the student from the newest sound checkpoint, or as the spec says; announces its version, and reads the data.
 *
 * @returns undefined if the run is to stop meanwhile
 * @throws FailedPrecondition if the trained student could not be written where it is to go
 */
export async function prepareRun(context: RunContext, checkpoints: Checkpoints): Promise<PreparedRun | undefined> {
  const { membership, host, log } = context;
  const { run, spec } = membership;
  const problems = await outputProblems(spec);
  if (problems.length) throw RetortError.ofProblems("the run spec", problems, "FailedPrecondition");
  const checkpoint = await chooseCheckpoint(context, checkpoints);
  const step = checkpoint?.step ?? 0;
  await openTrackers(context, step);
  const options = trainerOptions(context, phaseOf(run, Math.max(1, step)));
  const held = { checkpoint: checkpoint?.path, rows: spec.vocabSize, dtype: context.dtype, averageDecay: run.follow?.decay };
  const student = await host.open(studentSource(spec), options, held);
  await announceModel(membership, ["learner"], student);
  const brought = await broughtVersion(run, checkpoint);
  await (await publishWeights(context, step, true, brought)).done;
  if (brought) await keepHead(host, run, brought.version, brought.directory);
  log.info({ step, parameters: student.parameters, trained: student.trained, dtype: student.dtype }, "the student is loaded");
  const hiddenSize = await loadHeads(host, spec, run, student);
  const data = await prepareData(context, student);
  if (!data) return undefined;
  const recordSize = {
    vocabSize: student.vocabSize,
    hiddenSize,
    maxTokens: Math.max(
      ...run.phases.map(({ sampling }) => sampling.maxNewTokens),
      ...data.items.map(({ completionIds }) => completionIds?.length ?? 0),
    ),
    teacherPromptTokens: [...data.items, ...data.heldOut].reduce((most, item) => Math.max(most, item.teacherPromptIds?.length ?? 0), 0),
    ownTokens: run.ownTokenizers.length > 0,
    replyTokens: run.environment?.maxReplyTokens ?? 0,
    maxPayloadBytes: membership.streams.connection.info?.max_payload ?? 1024 * 1024,
  };
  return { step, data, recordSize };
}

async function openTrackers({ membership, dataDir, fence, log, report }: RunContext, fromStep: number): Promise<void> {
  const { runId, runs, run } = membership;
  const { created } = await runs.get(runId);
  const createdMs = created ? timestampMs(created) : Date.now();
  const place = { directory: join(dataDir, "runs", runId), settings: run.tracking };
  report.track(await Trackers.open({ ...place, fence, fromStep, createdMs, log }));
}

/** Says where the run goes on, which learner was lost at which step, and which checkpoints cannot be used. */
async function chooseCheckpoint(context: RunContext, checkpoints: Checkpoints): Promise<Stored | undefined> {
  const { membership, fence, report, log } = context;
  const { runs, runId } = membership;
  const { found, refused } = await checkpoints.newest();
  for (const { path, reason } of refused) {
    log.warn({ path, reason }, "a checkpoint cannot be used");
    await report.warning(`the checkpoint ${path} cannot be used: ${reason}; the run goes on from an earlier one`, path);
  }
  const fromStep = found?.step ?? 0;
  await tellLost(context, found, refused);
  const about = { software: softwareInWords(), machine: `${machineInWords()}, ${context.device}` };
  const lostAtStep = fence > 1n ? await lastTrained(membership) : undefined;
  await report.event({ case: "learnerStarted", value: { fence, fromStep, lostAtStep, ...about } }, "started");
  await recordStart(context, fromStep);
  await runs.update(runId, (next) => {
    next.step = fromStep;
    next.checkpoint = found && create(CheckpointSavedSchema, { step: fromStep, path: found.path, digest: found.digest });
    return true;
  });
  return found;
}

/** Says that the checkpoint which the run had is there no more: its volume was lost, or is another one. */
async function tellLost(
  { membership, report }: RunContext,
  found: Stored | undefined,
  refused: readonly { readonly path: string }[],
): Promise<void> {
  const { checkpoint: known } = await membership.runs.get(membership.runId);
  if (!known || (found?.step ?? 0) >= known.step || refused.some(({ path }) => path === known.path)) return;
  const instead = found ? `from that of step ${found.step}` : "at step 0: there is no other";
  await report.warning(
    `the checkpoint of step ${known.step} isn't at ${known.path} any more (was its volume lost or replaced?); the run begins again ${instead}`,
    `lost/${known.step}`,
  );
}

/** The last step that an earlier learner had trained: the ledger knows of it first. */
async function lastTrained({ streams, runs, runId }: Membership): Promise<number> {
  const { step } = await runs.get(runId);
  const last = await lastMessage(streams, streamNames.ledger, subjects.accounts(runId));
  return last ? Math.max(step, readRecord(StepAccountSchema, last).step) : step;
}

/** A trainer's options in a phase. */
export function trainerOptions({ device, threads, membership }: RunContext, { objective, optimizer }: Phase): HostOptions {
  const { microBatchTokens, gradientCheckpointing, computeDtype, beta1, beta2, epsilon, weightDecay, maxGradNorm } = optimizer;
  return {
    device,
    threads,
    objective,
    acrossTokenizers: membership.run.ownTokenizers.length > 0,
    microBatchTokens,
    gradientCheckpointing,
    computeDtype,
    optimizer: { beta1, beta2, epsilon, weightDecay, maxGradNorm },
  };
}
