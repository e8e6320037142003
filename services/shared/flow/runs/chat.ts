import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { DataSpec } from "../../gen/retort/v1/run_spec_pb.js";
import type { ChatSpec } from "../../gen/retort/v1/student_pb.js";

/** How prompts become the text that a model reads, with every default applied. */
export interface ResolvedChat {
  readonly chat: boolean;
  readonly system: string;
  readonly chatTemplateKwargs: Readonly<Record<string, unknown>>;
  readonly chatTemplate: string;
  readonly nowMs: number;
}

/**
 * The chat settings of a run's dataset.
 *
 * @param started when the run was created: what templates take for now, in every role and after a resume
 */
export const chatOfData = (data: DataSpec | undefined, started: Timestamp | undefined): ResolvedChat => resolved(data, started, Date.now());

/** The chat settings of a call. @param nowMs what a template takes for now where the call does not say */
export const chatOfCall = (spec: ChatSpec | undefined, nowMs: number): ResolvedChat => resolved(spec, spec?.now, nowMs);

function resolved(
  spec: Pick<DataSpec, "chat" | "system" | "chatTemplate" | "chatTemplateKwargs"> | undefined,
  now: Timestamp | undefined,
  nowMs: number,
): ResolvedChat {
  const { chat = false, system = "", chatTemplate = "", chatTemplateKwargs = {} } = spec ?? {};
  return { chat, system, chatTemplate, chatTemplateKwargs, nowMs: now ? timestampMs(now) : nowMs };
}
