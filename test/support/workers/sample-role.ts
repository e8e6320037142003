// A role's process for tests of its launcher: notes that it was started, then does what the file `behaviour` beside it says.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({ strict: false, args: process.argv.slice(2) });
const directory = String(values["data-dir"]);
writeFileSync(join(directory, `argv-${process.pid}`), process.argv.join("\n"));
writeFileSync(join(directory, `nats-${process.pid}`), process.env.RETORT_NATS_URL ?? "");
appendFileSync(join(directory, "started"), `${values.role} ${process.pid}\n`);
const behaviour = readFileSync(join(directory, "behaviour"), "utf8").trim();
console.log(JSON.stringify({ level: 30, msg: `this is what a ${values.role} prints` }));

if (behaviour === "deaf") process.on("SIGTERM", () => {});
if (/^\d+$/.test(behaviour)) {
  console.error(JSON.stringify({ level: 60, msg: `code ${behaviour} it is` }));
  process.exitCode = Number(behaviour);
} else {
  setInterval(() => {}, 1000);
}
