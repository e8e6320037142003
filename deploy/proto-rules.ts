import { type DescField, type DescFile, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { field as fieldRules, message as messageRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { file_retort_v1_access } from "../services/shared/gen/retort/v1/access_pb.js";
import { file_retort_v1_controller } from "../services/shared/gen/retort/v1/controller_pb.js";
import { file_retort_v1_conversation } from "../services/shared/gen/retort/v1/conversation_pb.js";
import { file_retort_v1_environment } from "../services/shared/gen/retort/v1/environment_pb.js";
import { file_retort_v1_estimate } from "../services/shared/gen/retort/v1/estimate_pb.js";
import { file_retort_v1_events } from "../services/shared/gen/retort/v1/events_pb.js";
import { file_retort_v1_flow } from "../services/shared/gen/retort/v1/flow_pb.js";
import { file_retort_v1_learner } from "../services/shared/gen/retort/v1/learner_pb.js";
import { file_retort_v1_reward } from "../services/shared/gen/retort/v1/reward_pb.js";
import { file_retort_v1_run } from "../services/shared/gen/retort/v1/run_pb.js";
import { file_retort_v1_run_spec } from "../services/shared/gen/retort/v1/run_spec_pb.js";
import { file_retort_v1_server } from "../services/shared/gen/retort/v1/server_pb.js";
import { file_retort_v1_student } from "../services/shared/gen/retort/v1/student_pb.js";
import { file_retort_v1_teacher } from "../services/shared/gen/retort/v1/teacher_pb.js";

/** Every file of Retort's API. */
export const protoFiles: readonly DescFile[] = [
  file_retort_v1_access,
  file_retort_v1_controller,
  file_retort_v1_conversation,
  file_retort_v1_environment,
  file_retort_v1_estimate,
  file_retort_v1_events,
  file_retort_v1_flow,
  file_retort_v1_learner,
  file_retort_v1_reward,
  file_retort_v1_run,
  file_retort_v1_run_spec,
  file_retort_v1_server,
  file_retort_v1_student,
  file_retort_v1_teacher,
];

const within = (messages: readonly DescMessage[]): DescMessage[] => messages.flatMap((one) => [one, ...within(one.nestedMessages)]);

/** Every message of Retort's API, nested ones among them. */
export const protoMessages: readonly DescMessage[] = protoFiles.flatMap(({ messages }) => within(messages));

/**
 * The texts that fields may have by an `in:` rule, by message and field in camelCase: `ObjectiveSpec.hiddenDtype`. Sorted;
 * the empty text, which stands for a default, is left out.
 */
export const inRules: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  protoMessages
    .flatMap(({ fields }) => fields)
    .flatMap((field) => {
      const values = allowed(field).filter(Boolean).sort();
      return values.length ? [[`${field.parent.name}.${field.localName}`, values] as const] : [];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1)),
);

function allowed(field: DescField): readonly string[] {
  if (!hasOption(field, fieldRules)) return [];
  const { type } = getOption(field, fieldRules);
  const rules = type.case === "repeated" ? type.value.items?.type : type;
  return rules?.case === "string" ? rules.value.in : [];
}

/** The CEL expressions of the protos, of messages and of fields. */
export const celExpressions: readonly string[] = protoMessages.flatMap((message) => {
  const own = hasOption(message, messageRules) ? getOption(message, messageRules).cel : [];
  const fields = message.fields.flatMap((field) => (hasOption(field, fieldRules) ? getOption(field, fieldRules).cel : []));
  return [...own, ...fields].map(({ expression }) => expression);
});
