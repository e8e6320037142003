import { execFile, execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { retort } from "../../support/runs/retort.js";

const run = promisify(execFile);
const has = (program: string): boolean => spawnSync(program, ["--version"]).status === 0;
const python = has("python3");
const tab = "\t";
/** Clears the line. */
const clear = "\u0015";

describe("completion", () => {
  let directory: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-completion-"));
    const shim = join(directory, "retort");
    await writeFile(shim, `#!/bin/sh\nexec "${process.execPath}" "${resolve("dist/services/cli.js")}" "$@"\n`);
    await chmod(shim, 0o755);
    env = { ...process.env, PATH: `${directory}:${process.env.PATH}`, HOME: directory, HISTFILE: "/dev/null" };
    await writeFile(join(directory, "my-spec.yaml"), "");
  });
  afterAll(() => rm(directory, { recursive: true }));

  const typed = (shell: readonly string[], keys: readonly (readonly [string, string])[]): string[] =>
    JSON.parse(
      execFileSync("python3", [resolve("test/support/shells/type-keys.py"), ...shell], {
        env,
        cwd: directory,
        input: JSON.stringify(keys),
        encoding: "utf8",
      }),
    );
  const suggested = async (...words: string[]) => {
    const { stdout, stderr } = await retort(["complete", "--", ...words], { HOME: directory, XDG_RUNTIME_DIR: directory });
    expect(stderr).toBe("");
    const [kind, ...lines] = stdout.trim().split("\n");
    return [kind, ...lines.map((line) => line.split("\t")[0])];
  };

  it.each([
    [[""], "words", ["run", "watch", "export", "completion"], ["complete"]],
    [["wat"], "words", ["watch"], ["run"]],
    [["--"], "words", ["--json", "--help"], ["--model"]],
    [["run", "--de"], "words", ["--detach"], ["--json"]],
    [["run", "x.yaml", "--controller", ""], "words", [], ["--detach"]],
    [["run", ""], "files", [], ["--detach"]],
    [["export", "x", "--format", ""], "words", ["hf", "onnx"], []],
    [["export", "x", "--format=o"], "words", ["onnx"], ["hf"]],
    [["export", "x", "--dtype", "=", "b"], "words", ["bfloat16"], ["float16"]],
    [["export", "--out", ""], "directories", [], []],
    [["eval", "--data", ""], "files", [], []],
    [["--json", "serve", "te"], "words", ["teacher"], ["student"]],
    [["run", "--", "--de"], "files", [], ["--detach"]],
    [["nothing", ""], "words", [], ["run"]],
  ])("of %j is %s with %j", async (words, kind, some, others) => {
    const [first, ...rest] = await suggested(...words);
    expect(first).toBe(kind);
    expect(rest).toEqual(expect.arrayContaining(some));
    for (const other of others) expect(rest).not.toContain(other);
  });

  it("is refused for a shell that it doesn't know", async () => {
    const { code, stderr } = await retort(["completion", "tcsh"]);
    expect([code, stderr]).toEqual([64, expect.stringMatching(/'tcsh' is invalid.*Allowed choices are bash, zsh, fish/)]);
  });

  /** What is typed, and what must then be seen. @param begin what makes the shell complete */
  const session = (begin: string): (readonly [string, string])[] => [
    [`${begin}; source <(retort completion SHELL); echo re''ady\n`, "ready\r\n"],
    [`retort wat${tab}`, "retort watch "],
    [`${clear}retort export x --format=o${tab}`, "--format=onnx"],
    [`${clear}retort run my-${tab}`, "my-spec.yaml"],
    [`${clear}retort sample '$(touch evaluated)' --mod${tab}`, "--model "],
  ];
  const works = (shell: readonly string[], begin: string) => {
    const keys = session(begin).map(([text, expected]) => [text.replace("SHELL", shell[0] ?? ""), expected] as const);
    const answers = typed(shell, keys);
    expect(keys.filter(([, expected], i) => !answers[i]?.includes(expected)).map(([, expected]) => expected)).toEqual([]);
    expect(existsSync(join(directory, "evaluated"))).toBe(false);
  };

  const inBash = python ? it : it.skip;
  inBash("works in bash, and evaluates nothing that was typed", () => works(["bash", "--norc", "-i"], "PS1='> '"), 120_000);

  const inZsh = python && has("zsh") ? it : it.skip;
  inZsh("works in zsh", () => works(["zsh", "-f", "-i"], "unsetopt prompt_sp; PS1='> '; autoload -Uz compinit; compinit -u -D"), 120_000);

  const inFish = has("fish") ? it : it.skip;
  inFish(
    "works in fish",
    async () => {
      const completed = async (line: string) => {
        const { stdout } = await run("fish", ["-c", `retort completion fish | source; complete -C ${JSON.stringify(line)}`], {
          env,
          cwd: directory,
        });
        return stdout.trim().split("\n");
      };
      expect(await completed("retort wat")).toEqual(["watch"]);
      expect(await completed("retort run --de")).toEqual([expect.stringMatching(/^--detach\tstart it and return$/)]);
      expect((await completed("retort export x --format ")).sort()).toEqual(["hf", "onnx"]);
      expect(await completed("retort export x --format=o")).toEqual(["--format=onnx"]);
      expect(await completed("retort run my-")).toEqual(["my-spec.yaml"]);
    },
    60_000,
  );

  if (!python || !has("zsh") || !has("fish"))
    console.log("completion is tested in the shells that are there alone: install zsh, fish and python3 (apt) for all of it");
});
