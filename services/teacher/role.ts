import { basename } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { announceModel } from "../shared/flow/runs/events.js";
import { memberRole } from "../shared/flow/runs/member-role.js";
import { teacherName } from "../shared/flow/runs/resolve.js";
import { openaiServer } from "../shared/openai/serve.js";
import type { ServedModel } from "../shared/openai/served-model.js";
import type { TeacherModel, TeacherSource } from "./backends/backend.js";
import { anyBackend } from "./backends/table.js";
import type { TeacherSettings } from "./config.js";
import { describingTeacher } from "./describing-role.js";
import { TeacherMeters } from "./meters.js";
import { scoreRun, writeTexts } from "./run-work.js";
import { type DescribeRequest, teacherService } from "./service.js";

/** The teacher: scores the rollouts of a run and writes its texts, or does either for its callers. */
export function teacherRole(context: RoleContext<TeacherSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const { device, threads, batchTokens, teacher, dtype } = settings;
  const options = { device, threads: threadCount(threads), batchTokens, ...(dtype && { dtype }) };
  const tokens = { env: process.env, hosts: settings.serverTokenHosts, plaintext: settings.serverTokenPlaintext };
  const backend = anyBackend({ ...options, metrics, tokens });
  if (settings.describeOnly && settings.openaiPort !== undefined)
    throw new RetortError("InvalidArgument", "--openai-port serves a model, and --describe-only opens none; leave one of them out");
  if (settings.describeOnly) return describingTeacher(settings, backend);
  return memberRole(context, ["teacher", teacher], ({ fail }) => {
    const meters = new TeacherMeters(metrics);
    let model: TeacherModel | undefined;
    backend.crashed.then(fail);
    const open = async ({ model: directory, server, vocabRows = settings.vocabSize }: Partial<TeacherSource>): Promise<TeacherModel> => {
      if (!directory)
        throw new RetortError(
          "InvalidArgument",
          "a teacher that stands alone needs --model DIR; one that serves a run needs --run ID and --teacher NAME",
        );
      model = await backend.open({ model: directory, server, vocabRows });
      const { parameters, architecture, dtype = "float32", precision } = model.description;
      log.info({ parameters, architecture, dtype, precision }, "the model is loaded");
      return model;
    };
    const opened = (): TeacherModel => {
      if (model) return model;
      throw new RetortError("Unavailable", "the teacher's model is still being opened; call again");
    };
    const described = ({ model: named, server }: DescribeRequest): TeacherModel => {
      if (!named && !server) return opened();
      throw new RetortError("InvalidArgument", "this teacher has one model; leave `model` and `server` out", { fieldPath: "model" });
    };
    const served = (): ServedModel => {
      const { description } = opened();
      const { run, model: directory = "" } = settings;
      const name = run ? `${run}/${teacher}` : basename(directory);
      return { name, maxPositions: description.maxPositions, fingerprint: description.digest, model: opened() };
    };
    return {
      implementations: [teacherService(described, opened)],
      server: openaiServer(context, served),
      join: async (membership) => {
        const { teachers, vocabSize } = membership.spec;
        const { model = settings.model, server, tokenizer } = teachers.find(({ name }) => teacherName(name) === teacher) ?? {};
        // The run's vocabulary isn't that of a teacher with its own tokenizer.
        const rows = tokenizer === "own" ? { vocabRows: 0 } : vocabSize && { vocabRows: vocabSize };
        const opened = await open({ ...(model && { model }), server, ...rows });
        await announceModel(membership, ["teacher", teacher], opened.description);
        return async () => [await scoreRun(context, membership, opened, meters), writeTexts(context, membership, opened)];
      },
      alone: async () => {
        await open({ ...(settings.model && { model: settings.model }) });
      },
      close: () => backend.close(),
    };
  });
}
