import { join } from "node:path";
import { ownDirectory } from "../../../services/shared/base/own-directory.js";
import { withRegular } from "../../../services/shared/base/regular-files.js";
import { type GgufImport, type ImportOptions, planImport, writeImport } from "../../../services/shared/ml/models/gguf/import-gguf.js";

/** A file of test/golden/fixtures/gguf/, which test/golden/gguf_files.py writes; tests run from the project's root. */
export const ggufFixture = (name: string): string => join(process.cwd(), "test", "golden", "fixtures", "gguf", name);

/** Imports a file, whether Retort computes such a model or not. */
export async function importGguf(path: string, out: string, options: ImportOptions = {}): Promise<GgufImport & { digest: string }> {
  return withRegular(path, async (file) => {
    const planned = await planImport(file, path, options.elementType);
    const directory = await ownDirectory(out, "import");
    return { ...planned, digest: await writeImport(directory, file, planned, options) };
  });
}
