// Runs the tests of graphs, models and training with every session by the C API of onnxruntime instead of its binding for Node:
// `node test/native.mjs [option of jest…]`.
//
// Plain JavaScript without dependencies, as run.mjs is.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const { status, error } = spawnSync(
  process.execPath,
  [fileURLToPath(new URL("run.mjs", import.meta.url)), "dist/test/golden", "dist/test/unit/shared/ml", ...process.argv.slice(2)],
  { stdio: "inherit", env: { ...process.env, RETORT_RUNTIME: "native" } },
);
if (error) console.error(`retort: ${error.message}`);
process.exit(status ?? 1);
