import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { architectures } from "../../services/shared/ml/models/architectures/table.js";
import { pages, textOf } from "../support/pages/pages.js";

/** The name by which a heading is linked to, as GitHub makes it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");

describe("the pages", () => {
  it.each(pages)("link to files and headings that are there (%s)", (page) => {
    const prose = textOf(page).replace(/`[^`\n]+`/g, "code");
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link).filter((link) => !/^https?:/.test(link));
    const lost = links.filter((link) => {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? page : normalize(join(dirname(page), path));
      if (!existsSync(target)) return true;
      if (anchor === undefined || statSync(target).isDirectory()) return false;
      return ![...textOf(target).matchAll(/^#+ (.*)$/gm)].some(([, heading = ""]) => anchorOf(heading) === anchor);
    });
    expect(lost).toEqual([]);
  });

  it("begin with a README that is read in five minutes", () => {
    expect(textOf("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(130);
  });

  it("name every family of models, and no other", () => {
    const rows = [...textOf("services/shared/ml/models/README.md").matchAll(/^\| `(\w+)` +\| [A-Z]/gm)].map(([, name]) => name);
    expect(rows.sort()).toEqual(Object.keys(architectures).sort());
    expect(textOf("README.md")).toContain(`one of [${rows.length} families](services/shared/ml/models/README.md)`);
  });
});
