import { RetortError } from "../../shared/base/errors.js";
import type { UploadStore } from "./upload-store.js";

/** The store of uploads. @throws Unimplemented where the controller keeps none */
export function uploadsOf({ uploads }: { readonly uploads?: UploadStore }): UploadStore {
  if (uploads) return uploads;
  throw new RetortError("Unimplemented", "this controller keeps no uploads; name paths that it can read");
}
