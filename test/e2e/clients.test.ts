import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { installPacked } from "../support/clients/packed.js";
import { blocksOf } from "../support/pages/markdown.js";
import { digestOfStudent, LocalCluster } from "../support/runs/local-run.js";

const run = promisify(execFile);
const examples = resolve("deploy/examples/num2words");
const directory = await mkdtemp(join(tmpdir(), "retort-packed-"));
const { npm, python } = await installPacked(directory);

describe("a client package, installed from what is packed", () => {
  let cluster: LocalCluster;
  beforeAll(async () => {
    cluster = await LocalCluster.start();
  });
  afterAll(async () => {
    await cluster.stop();
    await rm(directory, { recursive: true });
  });

  /** A package's README's first program, with this cluster's controller and a place for what it exports. */
  const programOf = async (readme: string, language: string): Promise<string> => {
    const [first] = blocksOf(await readFile(readme, "utf8")).filter((block) => block.language === language);
    const text = first!.text
      .replace("localhost:7070", cluster.address)
      .replace('"student")', `${JSON.stringify(join(directory, `${language}-student`))})`);
    expect(text).toContain(cluster.address);
    expect(text).toContain(`${language}-student`);
    return text;
  };
  const arguments_ = async (out: string) => [
    cluster.address,
    (await readFile(join(cluster.directory, "controller.pid"), "utf8")).trim(),
    examples,
    join(directory, out),
  ];

  /** What a program saw of a run must be what the cluster knows of it. */
  async function check(stdout: string, out: string, words: { readonly exists: string; readonly notFound: string; readonly over: string }) {
    const seen = JSON.parse(stdout);
    const { run: known, events } = await cluster.watch(seen.run);
    expect(seen).toMatchObject({
      again: seen.run,
      refused: expect.stringContaining(words.exists),
      wrong: expect.stringContaining("/nowhere"),
      problems: ["student.model"],
      ended: words.over,
      over: true,
      listed: [seen.run],
      version: 8,
      twice: expect.stringContaining("is not empty"),
      left: events.slice(0, 2).map(({ sequence }) => Number(sequence)),
      stranger: words.notFound,
    });
    // Every event once, in order, though the controller was killed and the run was held.
    expect(seen.sequences).toEqual(events.map(({ sequence }) => `${sequence}`));
    const losses = events.flatMap(({ event }) => (event.case === "stepFinished" ? [event.value.loss] : []));
    expect([seen.losses, losses.length]).toEqual([losses, 8]);
    expect(await digestOfStudent({ ...known, output: join(directory, out) })).toBe(await digestOfStudent(known));
    expect((await readdir(join(directory, out))).sort()).toEqual(expect.arrayContaining(["config.json", "tokenizer.json"]));
  }

  describe("@retort/client", () => {
    const typeRoots = resolve("node_modules/@types");
    const compile = (file: string) =>
      run(
        process.execPath,
        [
          ...[resolve("node_modules/typescript/bin/tsc"), file, "--strict", "--module", "nodenext", "--target", "es2023"],
          ...["--types", "node", "--typeRoots", typeRoots],
        ],
        { cwd: npm! },
      ).catch(({ stdout }: { readonly stdout: string }) => {
        throw new Error(stdout);
      });

    (npm ? it : it.skip)("says by what it depends on that no model runs in it", async () => {
      const { packages } = JSON.parse(await readFile(join(npm!, "package-lock.json"), "utf8"));
      const names = Object.keys(packages)
        .filter(Boolean)
        .map((path) => path.replace(/.*node_modules\//, ""));
      expect(names).toEqual(expect.arrayContaining(["@retort/client", "@retort/proto", "@connectrpc/connect-node"]));
      expect(names.filter((name) => /onnx|grpc-js|kubernetes|nats|tokenizers/.test(name))).toEqual([]);
    });

    (npm ? it : it.skip)("starts, follows, holds and exports a run over a restart of the controller", async () => {
      await cp("test/support/clients/steer.ts", join(npm!, "steer.ts"));
      await compile("steer.ts");
      const { stdout } = await run(process.execPath, ["steer.js", ...(await arguments_("npm-out"))], { cwd: npm! });
      await check(stdout, "npm-out", { exists: "AlreadyExists", notFound: "NotFound", over: "SUCCEEDED" });
    });

    (npm ? it : it.skip)("refuses at compile time what a spec has no field for", async () => {
      await writeFile(join(npm!, "wrong.ts"), 'import { Retort } from "@retort/client";\nawait new Retort().run({ nmae: "first" });\n');
      await expect(compile("wrong.ts")).rejects.toThrow("'nmae' does not exist");
    });

    (npm ? it : it.skip)("does what the READMEs show", async () => {
      const program = await programOf("deploy/clients/typescript/README.md", "ts");
      const [proto] = blocksOf(await readFile("deploy/clients/proto/README.md", "utf8"));
      await writeFile(join(npm!, "readme.ts"), program);
      await writeFile(join(npm!, "proto.ts"), proto!.text);
      await compile("readme.ts");
      await compile("proto.ts");
      const { stdout } = await run(process.execPath, [join(npm!, "readme.js")]);
      expect(
        stdout
          .trim()
          .split("\n")
          .map((line) => Number(line.split(" ")[0])),
      ).toEqual([1, 2, 3]);
      expect(await readdir(join(directory, "ts-student"))).toContain("model.safetensors");
      expect((await run(process.execPath, [join(npm!, "proto.js")])).stdout).toContain("on_policy_kd");
    });
  });

  describe("retort-client", () => {
    (python ? it : it.skip)("starts, follows, holds and exports a run over a restart of the controller", async () => {
      const { stdout } = await run(python!, ["test/support/clients/steer.py", ...(await arguments_("python-out"))]);
      await check(stdout, "python-out", { exists: "ALREADY_EXISTS", notFound: "NOT_FOUND", over: "succeeded" });
    });

    (python ? it : it.skip)("is clean to mypy, and so is a program over it", async () => {
      const mypy = (cwd: string, ...args: string[]) => run(python!, ["-m", "mypy", "--strict", ...args], { cwd });
      await mypy("dist/packages/python", "retort");
      await mypy(directory, resolve("test/support/clients/steer.py"));
      await writeFile(join(directory, "wrong.py"), "from retort import Retort\nRetort().run({}).watch(from_sequence='1')\n");
      await expect(mypy(directory, "wrong.py")).rejects.toMatchObject({ stdout: expect.stringContaining("incompatible type") });
    });

    (python ? it : it.skip)("does what its README shows", async () => {
      await writeFile(join(directory, "readme.py"), await programOf("deploy/clients/python/README.md", "python"));
      const { stdout } = await run(python!, [join(directory, "readme.py")]);
      expect(
        stdout
          .trim()
          .split("\n")
          .map((line) => Number(line.split(" ")[0])),
      ).toEqual([1, 2, 3]);
      expect(await readdir(join(directory, "python-student"))).toContain("model.safetensors");
    });
  });
});
