import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Every bench, by name: what it measures. Each is a program of its own, so that none sees another's memory. */
const benches = {
  adapter: "a step, a new version's way to a student and memory: an adapter against all weights",
  decode: "completions by the sampler, against one run per token and Hugging Face generate",
  scoring: "teacher scores, against a plain forward in PyTorch",
  "train-step": "one optimiser step, against PyTorch",
  "loss-memory": "peak memory of the vocabulary loss over 50,000 classes, in blocks of rows against all at once",
  "on-policy-step": "a whole synchronous step through the services, against TRL's GKDTrainer",
} as const;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in benches));
if (unknown.length) {
  console.error(`no bench ${unknown.join(", ")}; known: ${Object.keys(benches).join(", ")}`);
  process.exit(64);
}
for (const [name, about] of Object.entries(benches)) {
  if (asked.length && !asked.includes(name)) continue;
  console.log(`\n== ${name}: ${about}`);
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(`./${name}.js`, import.meta.url))], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
