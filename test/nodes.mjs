// Runs tests on several versions of Node, one after the other: `node test/nodes.mjs [VERSION…] [-- argument of run.mjs…]`.
// The versions come as npm's package `node` into .tools/node/, where each one's output stays, too. Plain JavaScript, as run.mjs.
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { delimiter, dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

/** The oldest that `engines` allows, and every line after it that is kept up. */
const usual = ["20.19.0", "22", "24", "26"];
/** What is quick and sees every native module, worker threads, child processes, gRPC, NATS, and a whole run. */
const patterns = ["unit", "golden", "integration/student", "integration/base", "e2e/determinism"].map((name) => `dist/test/${name}`);

const args = process.argv.slice(2);
const split = args.includes("--") ? args.indexOf("--") : args.length;
const versions = split ? args.slice(0, split) : usual;
const chosen = args.length > split + 1 ? args.slice(split + 1) : patterns;

let failed = 0;
for (const version of versions) {
  const node = fetched(version);
  const log = `.tools/node/${version}.log`;
  const output = openSync(log, "w");
  const path = `${dirname(node)}${delimiter}${process.env.PATH}`;
  const { status } = spawnSync(node, ["test/run.mjs", ...chosen], {
    stdio: ["ignore", output, output],
    env: { ...process.env, PATH: path },
  });
  closeSync(output);
  if (status !== 0) failed++;
  console.log(`Node ${version}: ${summary(log)} (exit code ${status}; ${log})`);
}
process.exitCode = failed ? 1 : 0;

/** The program of a version. */
function fetched(version) {
  const directory = `.tools/node/${version}`;
  const node = resolve(directory, "node_modules/node/bin/node");
  if (!existsSync(node)) {
    mkdirSync(directory, { recursive: true });
    const install = ["install", "--prefix", directory, "--no-save", "--no-fund", "--no-audit", "--loglevel=error", `node@${version}`];
    const { status } = spawnSync("npm", install, { stdio: ["ignore", 2, 2] });
    if (status !== 0) throw new Error(`Node ${version} cannot be fetched: "npm ${install.join(" ")}" failed`);
  }
  return node;
}

/** The line that a run of the tests ends with. */
function summary(log) {
  const lines = readFileSync(log, "utf8").trimEnd().split("\n");
  return lines.findLast((line) => /^\d+ passed, \d+ failed/.test(line)) ?? `no result; the last line is "${lines.at(-1)}"`;
}
