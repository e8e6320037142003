import { basename } from "node:path";
import { RetortError } from "../shared/base/errors.js";
import type { Log } from "../shared/base/log.js";
import type { RoleContext, RoleParts } from "../shared/base/role.js";
import { threadCount } from "../shared/base/settings.js";
import { needsHeads } from "../shared/codec/signal-spec.js";
import { mixedModels } from "../shared/flow/runs/ensembles.js";
import { announceModel } from "../shared/flow/runs/events.js";
import { memberRole } from "../shared/flow/runs/member-role.js";
import type { Membership } from "../shared/flow/runs/membership.js";
import { teacherName } from "../shared/flow/runs/resolve.js";
import type { ModelSource } from "../shared/ml/host/model-host.js";
import { openaiServer } from "../shared/openai/serve.js";
import type { ServedModel } from "../shared/openai/served-model.js";
import type { TeacherModel, TeacherSource } from "./backends/backend.js";
import { anyBackend } from "./backends/table.js";
import type { TeacherSettings } from "./config.js";
import { describingTeacher } from "./describing-role.js";
import { Follower } from "./follower.js";
import { TeacherMeters } from "./meters.js";
import { type PooledTeacher, pooledTeacher } from "./pooled.js";
import { scoreRun, writeTexts } from "./run-work.js";
import { type DescribeRequest, teacherService } from "./service.js";

/** The teacher: scores the rollouts of a run and writes its texts, or does either for its callers. */
export function teacherRole(context: RoleContext<TeacherSettings>): RoleParts {
  const { settings, log, metrics } = context;
  const { device, threads, batchTokens, teacher, dtype } = settings;
  const options = { device, threads: threadCount(threads), batchTokens, ...(dtype && { dtype }) };
  const tokens = { env: process.env, hosts: settings.serverTokenHosts, plaintext: settings.serverTokenPlaintext };
  const backend = anyBackend({ ...options, metrics, tokens });
  if (settings.describeOnly) return describingTeacher(settings, backend);
  const meters = new TeacherMeters(metrics);
  let model: TeacherModel | undefined;
  const following: Following = {};
  const open = async (source: Partial<TeacherSource>): Promise<TeacherModel> => {
    const { model: directory, weights, server, ensemble, vocabRows = settings.vocabSize } = source;
    if (!directory)
      throw new RetortError(
        "InvalidArgument",
        "a teacher that stands alone needs --model DIR; one that serves a run needs --run ID and --teacher NAME",
      );
    model = await backend.open({ model: directory, weights, server, ensemble, vocabRows });
    const { parameters, architecture, dtype = "float32", precision } = model.description;
    log.info({ parameters, architecture, dtype, precision }, "the model is loaded");
    return model;
  };
  const openOf = (membership: Membership, teacher: string, weights?: ModelSource) =>
    open({ ...sourceOf(membership, teacher, settings.model), weights });
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
    const { run, pool, model: directory = "" } = settings;
    const name = pool ?? (run ? `${run}/${teacher}` : basename(directory));
    const fingerprint = following.follower ? `the student's version ${following.follower.version}` : description.digest;
    return { name, maxPositions: description.maxPositions, fingerprint, model: opened() };
  };
  const implementations = [teacherService(described, opened)];
  const parts = { implementations, server: openaiServer(context, served), meters, close: () => backend.close(), crashed: backend.crashed };
  if (settings.pool !== undefined) return pooledTeacher(context, settings.pool, { ...parts, open: openOf });
  return runTeacher(context, { ...parts, open, openOf, following });
}

/** What brings a teacher that is the student its versions, once it has joined its run. */
interface Following {
  follower?: Follower;
}

/** What the teacher of one run is made of, besides the run; or one that stands alone. */
interface TeacherParts extends Omit<PooledTeacher, "open"> {
  readonly following: Following;
  readonly open: (source: Partial<TeacherSource>) => Promise<TeacherModel>;
  /** Opens the model that a run names. @param weights of a teacher that is the run's student */
  readonly openOf: (membership: Membership, teacher: string, weights?: ModelSource) => Promise<TeacherModel>;
}

/** The teacher of one run, or one that stands alone. */
function runTeacher(context: RoleContext<TeacherSettings>, parts: TeacherParts): RoleParts {
  const { settings, log } = context;
  const { implementations, server, meters, open, openOf, close, crashed, following } = parts;
  const { teacher } = settings;
  return memberRole(context, ["teacher", teacher], ({ fail, closing }) => {
    crashed.then(fail);
    return {
      implementations,
      server,
      join: async (membership) => {
        const follows = followerOf(membership, teacher, closing, log);
        if (follows) following.follower = follows;
        const opened = await (follows ? follows.open((weights) => openOf(membership, teacher, weights)) : openOf(membership, teacher));
        follows?.listen().catch(fail);
        await announceModel(membership, ["teacher", teacher], opened.description);
        return async () => [
          await scoreRun(context, membership, teacher, opened, meters, follows),
          writeTexts(context, membership, teacher, opened, follows),
        ];
      },
      alone: async () => {
        await open({ ...(settings.model && { model: settings.model }) });
      },
      close: async () => {
        await close();
        await following.follower?.release();
      },
    };
  });
}

/** What brings a teacher that is the student its versions; undefined for one that stays as it is. */
function followerOf(membership: Membership, teacher: string, closing: AbortSignal, log: Log): Follower | undefined {
  const { follow, phases } = membership.run;
  if (!follow?.teachers.includes(teacher)) return undefined;
  return new Follower({ membership, follow, needsHead: needsHeads(phases), closing, log });
}

/** The model that a run's spec names for a teacher, or the setting's. */
function sourceOf({ spec }: Membership, teacher: string, setting: string | undefined): Partial<TeacherSource> {
  const own = spec.teachers.find(({ name }) => teacherName(name) === teacher);
  const { model = setting, server, tokenizer = "" } = own ?? {};
  const ensemble = own?.ensemble.length ? mixedModels(own) : undefined;
  return { ...(model && { model }), server, ensemble, ...rowsOf(tokenizer, spec.vocabSize) };
}

/** The rows that a run's distributions range over, where it says so. Its vocabulary isn't that of a teacher with its own tokenizer. */
const rowsOf = (tokenizer: string, vocabSize: number): Partial<Pick<TeacherSource, "vocabRows">> =>
  tokenizer === "own" ? { vocabRows: 0 } : vocabSize ? { vocabRows: vocabSize } : {};
