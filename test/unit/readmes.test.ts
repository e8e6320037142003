import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { architectures } from "../../services/shared/ml/models/architectures/table.js";

const read = (path: string): string => readFileSync(path, "utf8");
const pages = [".", ".github", "deploy", "proto", "services", "test"].flatMap((root) =>
  (readdirSync(root, { recursive: root !== "." }) as string[]).filter((path) => path.endsWith(".md")).map((path) => join(root, path)),
);

/** The name by which a heading is linked to, as GitHub makes it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");

describe("the pages", () => {
  it.each(pages)("link to files and headings that are there (%s)", (page) => {
    const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link).filter((link) => !/^https?:/.test(link));
    const lost = links.filter((link) => {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : normalize(join(dirname(page), path));
      if (!existsSync(target)) return true;
      if (anchor === undefined || statSync(target).isDirectory()) return false;
      return ![...read(target).matchAll(/^#+ (.*)$/gm)].some(([, heading = ""]) => anchorOf(heading) === anchor);
    });
    expect(lost).toEqual([]);
  });

  it("begin with a README that is read in five minutes", () => {
    expect(read("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(130);
  });

  it("name every family of models, and no other", () => {
    const rows = [...read("services/shared/ml/models/README.md").matchAll(/^\| `(\w+)` +\| [A-Z]/gm)].map(([, name]) => name);
    expect(rows.sort()).toEqual(Object.keys(architectures).sort());
    expect(read("README.md")).toContain(`one of [${rows.length} families](services/shared/ml/models/README.md)`);
  });
});
