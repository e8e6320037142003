import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { transformSync } from "esbuild";
import { parse, stringify } from "yaml";
import { specChecks } from "../../services/controller/check/spec-checks.js";
import { parseSpec } from "../../services/shared/flow/runs/spec.js";
import { checkCommand, checkNamed } from "../support/pages/check-command.js";
import { blocksOf, type CodeBlock } from "../support/pages/markdown.js";
import { pages, textOf } from "../support/pages/pages.js";
import { commandsOf } from "../support/pages/shell-words.js";
import { checkSpec } from "../support/runs/check-spec.js";

/** Pages whose programs are run, one of each language: test/e2e/clients.test.ts. */
const run = pages.filter((page) => page.startsWith("deploy/clients/"));

const python = spawnSync("python3", ["--version"]).status === 0 ? "python3" : undefined;
if (!python) console.warn("that Python on the pages is Python is not tested: python3 is not on the PATH");

const examples = resolve("deploy/examples/num2words");
const whole = parse(readFileSync(join(examples, "on-policy.yaml"), "utf8"));

/** What each language's blocks must be. */
const checks: Readonly<Record<string, (text: string) => Promise<void> | void>> = {
  json: (text) => void JSON.parse(text),
  python: (text) => {
    if (!python) return;
    const { status, stderr } = spawnSync(python, ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], { input: text, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
  },
  sh: checkShell,
  text: () => {},
  ts: (text) => void transformSync(text, { loader: "ts" }),
  yaml: checkYaml,
};

async function checkShell(text: string): Promise<void> {
  for (const command of commandsOf(text)) await checkCommand(command);
}

/** A spec, or a part of one: with what else a spec has, it is sound. */
function checkYaml(text: string): void {
  const given = parse(text);
  const isWhole = "data" in given && "phases" in given;
  const spec = parseSpec(isWhole ? text : stringify({ ...whole, ...given }), join(examples, "page.yaml"));
  const problems = checkSpec(spec, specChecks);
  if (problems.length) throw new Error(problems.map(({ fieldPath, description }) => `${fieldPath}: ${description}`).join("\n"));
}

/** What a block is in: a fence says it, and an indented one is a shell's. */
const languageOf = ({ language }: CodeBlock): string =>
  ({ "": "sh", bash: "sh", console: "sh", typescript: "ts", yml: "yaml" })[language] ?? language;

const blocks = pages.flatMap((page) => blocksOf(textOf(page)).map((block) => ({ ...block, page, name: `${page}:${block.line}` })));

describe("what the pages show", () => {
  it.each(blocks.map((block) => [block.name, block] as const))("works: %s", async (_, block) => {
    const check = checks[languageOf(block)];
    if (!check) throw new Error(`it isn't known how a block of ${block.language} is checked`);
    await check(block.text);
  });

  it("is run, where it is a program", () => {
    const programs = blocks.filter((block) => ["python", "ts"].includes(languageOf(block)));
    for (const page of run) {
      const languages = programs.filter((block) => block.page === page).map(languageOf);
      expect([page, new Set(languages).size]).toEqual([page, languages.length]);
    }
    expect(programs.filter(({ page }) => run.includes(page)).length).toBe(3);
    // Packages of others that aren't installed: their syntax alone is looked at.
    expect(programs.filter(({ page }) => !run.includes(page)).map(({ text }) => /\b(wandb)\b/.exec(text)?.[1])).toEqual(
      programs.filter(({ page }) => !run.includes(page)).map(() => "wandb"),
    );
  });

  it.each(pages.filter((page) => basename(page) !== "REFERENCE.md"))(
    "names commands and scripts that are there, in its sentences (%s)",
    async (page) => {
      for (const [, code = ""] of textOf(page).matchAll(/`([^`\n]+)`/g)) {
        const [first = "", ...words] = code.replace(/^npx /, "").split(/\s+/);
        if (first === "retort" && /^[a-z]/.test(words[0] ?? "")) await checkNamed(words);
        if (first === "npm" && words[0] === "run") await checkCommand([first, ...words]);
      }
    },
  );
});

describe("a page that shows what does not work", () => {
  const firstOf = (markdown: string): Promise<void> | void => {
    const [block] = blocksOf(markdown);
    return checks[languageOf(block!)]!(block!.text);
  };

  it.each([
    ["a command that is none", "    npx retort launch run.yaml", /unknown command 'launch'/],
    ["an option that is none", "    npx retort run run.yaml --fast", /unknown option '--fast'/],
    ["an option without its value", "    npx retort export RUN --out", /argument missing/],
    ["a value that an option doesn't take", "    npx retort export RUN --out DIR --format gguf", /Allowed choices are/],
    ["a required option left out", "    npx retort export RUN", /required option '--out/],
    ["a script that is none", "    npm run tset", /no script tset/],
    ["a file that is not there", "    npx retort run deploy/examples/none.yaml", /there is no deploy\/examples\/none\.yaml/],
    ["a command behind a good one", "    npm test && npx retort launch", /unknown command/],
    ["a command in a line that is carried on", "    npx retort runs \\\n      --into DIR", /unknown option '--into'/],
    ["a setting that a role doesn't have", "    npx retort serve teacher --model DIR --prot 7071", /prot/],
    ["a program that no one knows", "    retrot up", /isn't known how retrot is checked/],
    ["a method that is none", "    grpcurl -plaintext localhost:7070 retort.v1.ControllerService/Launch", /no method/],
    [
      "a field that is none",
      `    curl -d '{"run": "RUN"}' http://localhost:7080/retort.v1.ControllerService/GetRun`,
      /key "run" is unknown/,
    ],
    ["a spec's field that is none", "```yaml\nteachers: [{ model: m, temprature: 2 }]\n```", /temprature/],
    [
      "a spec that contradicts itself",
      "```yaml\nphases: [{ preset: gkd, steps: 1, objective: { divergence: jsd, signal: sampled } }]\n```",
      /signal/,
    ],
    ["JSON that is none", "```json\n{a: 1}\n```", /JSON/],
    ["TypeScript that is none", "```ts\nconst = 1;\n```", /Expected identifier/],
  ])("is found: %s", async (_, markdown, reason) => {
    await expect((async () => firstOf(markdown))()).rejects.toThrow(reason);
  });

  it("is found in a sentence, too", async () => {
    await expect(checkNamed(["run", "--fast"])).rejects.toThrow("retort run has no option --fast");
    await expect(checkNamed(["launch"])).rejects.toThrow("no command launch");
  });
});

describe("commandsOf()", () => {
  it.each([
    ["a b # c", [["a", "b"]]],
    ["A=1 B=2 c d", [["c", "d"]]],
    ["a 'b # c' \"d $e\" f'g'h", [["a", "b # c", "d $e", "fgh"]]],
    ["a \\\n  b\nc", [["a", "b"], ["c"]]],
    ["a && b; c | d", [["a"], ["b"], ["c"], ["d"]]],
    ["a '{\n\"b\": 1}'", [["a", '{\n"b": 1}']]],
    ["a $(cd b && find . -name '*.c')", [["a", "$(cd b && find . -name '*.c')"]]],
    ["$ a b\nsome output; here\n$ c # d", [["a", "b"], ["c"]]],
  ])("reads %j", (text, expected) => {
    expect(commandsOf(text)).toEqual(expected);
  });
});

describe("blocksOf()", () => {
  it("finds what is fenced and what is indented, not what belongs to a list", () => {
    const markdown = "a\n\n    b\n\n      c\n\nd\n```ts\ne\n```\n- f\n\n    g\n\nh\n    i\n  ```yaml\n  j: 1\n  ```\n";
    expect(blocksOf(markdown)).toEqual([
      { text: "b\n\n  c\n", language: "", line: 3 },
      { text: "e\n", language: "ts", line: 9 },
      { text: "j: 1\n", language: "yaml", line: 18 },
    ]);
  });
});
