import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../../services/cli.js", import.meta.url));

/** Writes the address of every module that is loaded to standard error. */
const hooks = `import { writeSync } from "node:fs";
export const load = (url, context, next) => (writeSync(2, "loads " + url + "\\n"), next(url, context));`;
const asUrl = (text: string): string => `data:text/javascript,${encodeURIComponent(text)}`;
const tracer = asUrl(`import { register } from "node:module"; register(${JSON.stringify(asUrl(hooks))});`);

/** Addresses of the modules that a command of `retort` loads. */
function loadedBy(...argv: readonly string[]): string[] {
  const { status, stderr } = spawnSync(process.execPath, ["--import", tracer, program, ...argv], { encoding: "utf8" });
  expect(status).toBe(0);
  return stderr.split("\n").flatMap((line) => /^loads (file:.*)$/.exec(line)?.[1] ?? []);
}

describe("the command line", () => {
  const loaded = loadedBy("--help");

  it("loads the commands", () => {
    expect(loaded).toContainEqual(expect.stringMatching(/\/cli\/runs\/run-commands\.js$/));
    expect(loaded).toContainEqual(expect.stringMatching(/\/node_modules\/commander\//));
  });

  it.each(["echarts", "zrender", "@resvg/resvg-js", "dejavu-fonts-ttf", "@aws-sdk/client-s3", "@kubernetes/client-node"])(
    "does not load %s before something needs it",
    (name) => {
      expect(loaded.filter((url) => url.includes(`/node_modules/${name}/`))).toEqual([]);
    },
  );

  it("does not load the experiments before one of them runs", () => {
    expect(loaded.filter((url) => url.includes("/services/reproduce/"))).toEqual([]);
  });
});
