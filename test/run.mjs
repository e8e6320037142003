// Compiles and runs tests: `node test/run.mjs [PROJECT…] [option or file of jest…]`, as
//
//     node test/run.mjs                              every project but `long`
//     node test/run.mjs -w 1                         the same, one suite after the other
//     node test/run.mjs unit golden                  two of them
//     node test/run.mjs dist/test/unit/layers.test.js -t cycles
//
// Plain JavaScript without dependencies, because it installs and compiles what the tests are.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { projects } from "./jest.config.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const args = process.argv.slice(2);
const named = args.filter((arg) => projects.includes(arg));
const rest = args.filter((arg) => !projects.includes(arg));
const files = rest.some((arg) => arg.includes("dist/"));
// These two take every word behind them, so they come last.
const chosen = named.length ? ["--selectProjects", ...named] : files ? [] : ["--ignoreProjects", "long"];

// Jest gives suites a copy of the environment, which onnxruntime does not see.
process.env.ORT_DISABLE_TELEMETRY ??= "1";
run("deploy/setup.mjs");
run("--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", ...rest, ...chosen);

function run(...argv) {
  const { status, error } = spawnSync(process.execPath, argv, { stdio: "inherit" });
  if (error) console.error(`retort: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
