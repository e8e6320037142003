import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { markdownOf } from "./rows.js";

/** Every bench, by name: what it measures. Each is a program of its own, so that none sees another's memory. */
const benches = {
  adapter: "a step, a new version's way to a student and memory: an adapter against all weights",
  decode: "completions by the sampler, against one run per token and Hugging Face generate",
  memory: "peak memory of teacher, student and learner against their weights, and its growth over settings",
  "new-weights": "seconds from a step's end to a student's first token under the new weights, by directory and NATS",
  scoring: "teacher scores, against a plain forward in PyTorch",
  "train-step": "one optimiser step, against PyTorch",
  "loss-memory": "peak memory of the vocabulary loss over 50,000 classes, in blocks of rows against all at once",
  "on-policy-step": "a whole step through the services, synchronous and asynchronous, against TRL's best trainer",
} as const;

/** What the README's table is made of; adapter and loss-memory have no peer. */
const inTable: readonly string[] = ["decode", "memory", "new-weights", "scoring", "train-step", "on-policy-step"];

const markdown = process.argv.includes("--markdown");
const asked = process.argv.slice(2).filter((argument) => argument !== "--markdown");
const unknown = asked.filter((name) => !(name in benches));
if (unknown.length) {
  console.error(`no bench ${unknown.join(", ")}; known: ${Object.keys(benches).join(", ")}, and --markdown for a table of what they found`);
  process.exit(64);
}
const scratch = mkdtempSync(join(tmpdir(), "retort-bench-"));
const rows = join(scratch, "rows.jsonl");
const env = markdown ? { RETORT_BENCH_SHAPES: "tiny,medium,smollm2", ...process.env, RETORT_BENCH_ROWS: rows } : process.env;
for (const [name, about] of Object.entries(benches)) {
  if (asked.length ? !asked.includes(name) : markdown && !inTable.includes(name)) continue;
  console.log(`\n== ${name}: ${about}`);
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(`./${name}.js`, import.meta.url))], { stdio: "inherit", env });
  if (status !== 0) process.exitCode = 1;
}
if (existsSync(rows)) console.log(`\n${markdownOf(readFileSync(rows, "utf8"))}`);
rmSync(scratch, { recursive: true });
