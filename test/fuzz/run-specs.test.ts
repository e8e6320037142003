import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { JsonValue } from "@bufbuild/protobuf";
import { parse, stringify } from "yaml";
import { specChecks } from "../../services/controller/check/spec-checks.js";
import { resolveRun } from "../../services/shared/flow/runs/resolve.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import type { RunSpec } from "../../services/shared/gen/retort/v1/run_spec_pb.js";
import { mutatedBytes } from "../support/fuzz/bytes.js";
import { checkText, fuzz, outcomeOf, secret } from "../support/fuzz/cases.js";
import type { Random } from "../support/fuzz/random.js";
import { wrongAcceptances } from "../support/fuzz/spec-oracle.js";
import { mutatedJson } from "../support/fuzz/structures.js";
import { checkSpec } from "../support/runs/check-spec.js";

const file = "/elsewhere/spec.yaml";
const texts = ["", "presets", "num2words"].flatMap((folder) => {
  const directory = join(resolve("deploy/examples"), folder);
  return readdirSync(directory).flatMap((name) => (name.endsWith(".yaml") ? [readFileSync(join(directory, name), "utf8")] : []));
});
const specs = texts.map((text) => parse(text) as JsonValue);

/** Lines that mean something to YAML alone. */
const lines = [
  "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b]",
  "<<: { name: other }",
  "name: again",
  "? [complex, key]\n: value",
  "--- \nname: second",
  "%YAML 1.1\n---",
  "!!binary aGk=",
  "!!js/function 'x'",
  "\tname: tab",
  "name: 'open",
  "seed: 0o17\nrewards: ~",
  "phases: { <<: [1] }",
  "self: &s { s: *s }",
  "x: *nowhere",
  `secret: ${secret}`,
];

/** The text of a spec that was changed as a structure, as text, or as bytes. */
function changedSpec(random: Random): string {
  const kind = random.int(10);
  if (kind < 6) {
    const value = mutatedJson(random, random.pick(specs));
    const json = JSON.stringify(value);
    // The library that writes YAML has no stack for what is deep or long.
    return random.chance(0.5) || json.length > 20_000 || /[[{]{50}/.test(json.replaceAll('"a":', "")) ? json : stringify(value);
  }
  const text = random.pick(texts);
  if (kind < 8) {
    const rows = text.split("\n");
    rows.splice(random.int(rows.length + 1), random.int(2), random.pick(lines));
    return rows.join("\n");
  }
  return mutatedBytes(random, Buffer.from(`# ${secret}\n${text}`)).toString(kind === 8 ? "utf8" : "latin1");
}

/** Problems of a spec, each with its field and a sentence. */
function problemsOf(spec: RunSpec): number {
  const problems = checkSpec(spec, specChecks);
  for (const { fieldPath, description } of problems) {
    if (fieldPath === "" || description.trim() === "") throw new Error(`a problem names no field: ${fieldPath}: ${description}`);
    checkText(description);
  }
  return problems.length;
}

describe("a run spec that may be anything", () => {
  it("is refused by the field, or resolves to numbers that make a run", async () => {
    const seen = { unread: 0, refused: 0, accepted: 0 };
    await fuzz("run specs", 2500, async (random) => {
      const text = changedSpec(random);
      const parsed = await outcomeOf(() => parseSpec(text, file));
      if ("refusal" in parsed) {
        if (parsed.refusal.code !== "InvalidArgument") throw new Error(`it was refused as ${parsed.refusal.code}`);
        seen.unread++;
        return;
      }
      if (problemsOf(parsed.value)) {
        seen.refused++;
        return;
      }
      seen.accepted++;
      const wrong = wrongAcceptances(parsed.value, resolveRun(parsed.value));
      if (wrong.length) throw new Error(`it was accepted, although ${wrong.join("; ")}:\n${text.slice(0, 2000)}`);
    });
    if (process.env.RETORT_FUZZ_ONLY === undefined) for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
  });

  it("is accepted where it is an example", () => {
    for (const text of texts) expect(problemsOf(parseSpec(text, file))).toBe(0);
  });
});
