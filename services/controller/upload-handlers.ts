import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { RetortError } from "../shared/base/errors.js";
import { isWithin } from "../shared/base/paths.js";
import type { Handlers } from "../shared/base/rpc/handlers.js";
import { pathsRead } from "../shared/flow/runs/paths.js";
import { isOver } from "../shared/flow/runs/run-store.js";
import { uploadReference } from "../shared/flow/runs/upload-reference.js";
import type { ControllerService, UploadSchema } from "../shared/gen/retort/v1/controller_pb.js";
import type { ControllerContext } from "./runs/context.js";
import { uploadsOf } from "./uploads/uploads-of.js";

type UploadHandlers = Pick<Handlers<typeof ControllerService>, "prepareUpload" | "uploadChunk" | "listUploads" | "deleteUpload">;

/** The methods of ControllerService that are about uploads. */
export const uploadHandlers = (context: () => ControllerContext): UploadHandlers => ({
  prepareUpload: async ({ files }) => {
    const listed = files.map(({ path, sizeBytes, digest }) => ({ path, size: Number(sizeBytes), digest }));
    const { reference, missing } = await uploadsOf(context()).prepare(listed);
    return { reference, missing: missing.map(({ digest, offset }) => ({ digest, offset: BigInt(offset) })) };
  },
  uploadChunk: async ({ digest, offset, data }) => ({
    offset: BigInt(await uploadsOf(context()).chunk(digest, Number(offset), data)),
  }),
  listUploads: async () => {
    const store = uploadsOf(context());
    const uploads = (await store.list()).map(({ digest, created, files }): MessageInitShape<typeof UploadSchema> => {
      const sizeBytes = BigInt(files.reduce((sum, { size }) => sum + size, 0));
      const first = files[0]?.path ?? "";
      return { reference: uploadReference(digest), created: timestampFromDate(new Date(created)), files: files.length, sizeBytes, first };
    });
    const { bytes, maxBytes } = await store.usage();
    return { uploads, bytes: BigInt(bytes), maxBytes: BigInt(maxBytes) };
  },
  deleteUpload: async ({ reference }) => ({ freedBytes: BigInt(await remove(context(), reference)) }),
});

/** Removes an upload. @throws FailedPrecondition while a run that isn't over reads it */
async function remove(context: ControllerContext, reference: string): Promise<number> {
  const store = uploadsOf(context);
  const tree = store.treeOf(reference);
  for (const { runId, spec, state } of await context.runs.list()) {
    const used = !isOver(state) && spec && (await pathsRead(spec)).find(([, path]) => isWithin(path, tree));
    if (used) throw new RetortError("FailedPrecondition", `run ${runId} reads ${reference} (${used[0]}); stop it, or wait for its end`);
  }
  return store.remove(reference);
}
