import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout, seen from dist/test/unit. */
const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Locked {
  readonly packages: Readonly<
    Record<string, { readonly dev?: boolean; readonly optional?: boolean; readonly engines?: { readonly node?: string } }>
  >;
}
const { packages } = JSON.parse(read("package-lock.json")) as Locked;
const { optionalDependencies, engines } = JSON.parse(read("package.json")) as {
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
};

describe("optional packages", () => {
  it("are those that draw charts, and nothing that a role needs: the image leaves them out", () => {
    const left = Object.entries(packages).flatMap(([path, { optional, dev }]) =>
      optional && !dev ? [path.replace("node_modules/", "")] : [],
    );
    const drawing = /^(echarts|zrender|tslib|dejavu-fonts-ttf|@resvg\/resvg-js(-.*)?)$/;
    // Of @huggingface/hub, for a command of its own that isn't called; of koffi, one for each platform.
    const others = left.filter((name) => !drawing.test(name) && !name.startsWith("@koromix/koffi-"));
    expect(others).toEqual(["cli-progress", "cli-progress/node_modules/string-width"]);
    expect(left).toEqual(expect.arrayContaining(Object.keys(optionalDependencies)));
  });

  it("are imported by nothing before it draws", () => {
    const names = Object.keys(optionalDependencies).join("|");
    const early = new RegExp(`^(import|export) (?!type )[^;]*?from "(${names})"`, "m");
    const files = (readdirSync(join(root, "services"), { recursive: true }) as string[]).filter((name) => name.endsWith(".ts"));
    expect(early.test('import { init } from "echarts";')).toBe(true);
    expect(files.filter((file) => early.test(read(join("services", file))))).toEqual([]);
  });

  it("are taken out of what an image gets, and those stay that a package needs on its platform", () => {
    const place = mkdtempSync(join(tmpdir(), "retort-prune-"));
    const files = ["echarts/index.js", "@resvg/resvg-js/index.js", "@koromix/koffi-linux-x64/koffi.node", "koffi/index.js"];
    for (const file of files) {
      mkdirSync(dirname(join(place, "node_modules", file)), { recursive: true });
      writeFileSync(join(place, "node_modules", file), "x");
    }
    writeFileSync(join(place, "package.json"), JSON.stringify({ optionalDependencies }));
    execFileSync(process.execPath, [join(root, "deploy/prune.mjs"), join(place, "node_modules")]);
    expect(files.map((file) => existsSync(join(place, "node_modules", file)))).toEqual([false, false, true, true]);
    rmSync(place, { recursive: true });
  });
});

describe("the oldest Node", () => {
  it("is the same in package.json, in what checks it, and in the README", () => {
    const oldest = /^>=(\d+\.\d+)$/.exec(engines.node)?.[1];
    expect(oldest).toBeDefined();
    expect(read("deploy/setup.mjs")).toContain(`Retort needs Node ${oldest} or newer`);
    expect(read("README.md")).toContain(`Node ${oldest} or newer`);
  });
});
