import type { Item } from "../../shared/codec/examples.js";
import { split } from "../../shared/flow/prompts/plan.js";
import { teacherVersion } from "../../shared/flow/runs/follow.js";
import type { Membership } from "../../shared/flow/runs/membership.js";
import type { SamplingSettings } from "../../shared/flow/runs/resolve.js";
import { type Purpose, Source } from "../../shared/gen/retort/v1/flow_pb.js";
import type { PlannedTask } from "./planned-task.js";
import { plannedShare, publishShares, type SignalInit, sharesOf } from "./shares.js";

/** A set of prompts to be written once, outside the optimiser steps. */
export interface WriteRequest {
  readonly purpose: Purpose.DATASET | Purpose.EVALUATE;
  readonly step: number;
  /** The learner's fence; 1 for texts that are kept for the next learner. */
  readonly attempt: number;
  readonly items: readonly Item[];
  /** Which of them; default: all. */
  readonly rows?: readonly number[];
  readonly sampling: SamplingSettings;
  readonly samplesPerPrompt: number;
  /** Empty for the student. */
  readonly sampler: string;
  /** What the teachers say of it; undefined where nothing is scored. */
  readonly signal: SignalInit | undefined;
  readonly rewarded: boolean;
  /** The step whose version teachers score with that follow the student, and that behind which the learner goes on; where they score. */
  readonly taught?: { readonly step: number; readonly fromStep: number };
  /** The number of the first of its tasks. */
  readonly firstTask: number;
  readonly promptsPerTask: number;
  /** Prompts that are written together, of one task or several. */
  readonly promptsTogether: number;
}

/** Hands out prompts to be written by the student at one version, or by a teacher. Returns the tasks in their order. */
export async function issueWriting(membership: Membership, request: WriteRequest): Promise<readonly PlannedTask[]> {
  const { run, runId } = membership;
  const { purpose, step, attempt, items, sampling, samplesPerPrompt, sampler, rewarded } = request;
  const rows = split(request.rows ?? [...items.keys()], request.promptsPerTask);
  const shares = sharesOf(rows, items, run, request.signal);
  const planned = shares.map(
    (share, i): PlannedTask => ({
      ...plannedShare(share, sampler),
      ...(request.taught && teacherVersion(run, share.teacher, request.taught)),
      key: { runId, purpose, step, task: request.firstTask + i, attempt },
      source: sampler ? Source.TEACHER : Source.STUDENT,
      samplesPerPrompt,
      maxNewTokens: sampling.maxNewTokens,
      maxReplyTokens: sampler ? 0 : (run.environment?.maxReplyTokens ?? 0),
      versions: { min: step, max: step },
      rewarded,
    }),
  );
  await publishShares(membership, shares, planned, request);
  return planned;
}
