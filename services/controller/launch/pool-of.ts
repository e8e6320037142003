import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import { type MixedModel, mixedModels } from "../../shared/flow/runs/ensembles.js";
import { defaultKeepWarmSeconds } from "../../shared/flow/runs/teacher-pools.js";
import type { RunSpec, TeacherSpec } from "../../shared/gen/retort/v1/run_spec_pb.js";
import { ServerSpecSchema } from "../../shared/gen/retort/v1/server_pb.js";
import type { Pool } from "./launcher.js";
import { roleFlags } from "./role-flags.js";

/**
 * The pool that a run's teacher asks for: the same for teachers whose model's files (of an ensemble, all models' and their shares), server,
 * vocabulary, device, dtype, threads and profile are the same. Files are compared by name, size and time of change, so that a directory that
 * was overwritten since is another model.
 *
 * @param pinned paths of models that a run's processes fetch, which name what is there: it isn't all here, and never changes
 * @returns undefined for a teacher with processes of its own
 */
export async function poolOf(
  { roles, vocabSize }: RunSpec,
  { model, server, shared, ensemble, tokenizer }: TeacherSpec,
  pinned: ReadonlySet<string> = new Set(),
): Promise<Pool | undefined> {
  if (!shared) return undefined;
  const withFiles = async (mixed: MixedModel) => ({ ...mixed, files: pinned.has(mixed.model) ? [] : await filesOf(mixed.model) });
  const parts = {
    vocabSize: tokenizer === "own" ? 0 : vocabSize,
    models: await Promise.all(mixedModels({ model, ensemble }).map(withFiles)),
    server: server && toJson(ServerSpecSchema, server),
    ...roleFlags("teacher", roles?.teacher),
    profile: roles?.teacher?.profile,
  };
  const key = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
  return { key, keepWarmMs: 1000 * (shared.keepWarmSeconds ?? defaultKeepWarmSeconds) };
}

async function filesOf(model: string): Promise<readonly (readonly [name: string, size: number, changedMs: number])[]> {
  const names = (await readdir(model).catch(() => [])).sort();
  return Promise.all(
    names.map(async (name) => {
      const { size, mtimeMs } = await stat(join(model, name));
      return [name, size, mtimeMs] as const;
    }),
  );
}
