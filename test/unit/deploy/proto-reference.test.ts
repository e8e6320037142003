import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { protoMessages } from "../../../deploy/proto-rules.js";
import { ruleText } from "../../../deploy/rule-text.js";
import { ControllerService } from "../../../services/shared/gen/retort/v1/controller_pb.js";

const text = readFileSync("proto/REFERENCE.md", "utf8");
const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);

describe("proto/REFERENCE.md", () => {
  it("is what the protos say", () => {
    const { status, stderr } = spawnSync(process.execPath, ["dist/deploy/proto-reference.js", "--check"], { encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
  });

  it("has every message with every field, and every method", () => {
    const missing = protoMessages.flatMap(({ name, fields }) => {
      const [, section = ""] = text.split(`\n### ${name}\n`);
      const [own = ""] = section.split("\n### ");
      return fields.filter(({ localName }) => !own.includes(`| \`${localName}\` |`)).map(({ localName }) => `${name}.${localName}`);
    });
    expect(missing).toEqual([]);
    for (const { name } of ControllerService.methods) expect(text).toContain(`| \`${name}\` |`);
  });

  it("has a heading for every link", () => {
    const links = [...text.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor = ""]) => anchor);
    const anchors = new Set(headings.map((heading) => heading.toLowerCase()));
    expect(links.length).toBeGreaterThan(200);
    expect([...new Set(links)].filter((anchor) => !anchors.has(anchor))).toEqual([]);
    expect(headings.filter((heading, i) => headings.indexOf(heading) !== i)).toEqual([]);
  });

  it("has rows of as many cells as their table's head", () => {
    const cells = (row: string) => row.replace(/\\\|/g, "").split("|").length;
    const tables = text.split(/\n\n/).filter((part) => part.startsWith("| "));
    for (const table of tables) expect(new Set(table.trim().split("\n").map(cells)).size).toBe(1);
  });
});

describe("ruleText()", () => {
  it.each([
    ["RunSpec.name", "Matches `^[a-z0-9]([a-z0-9-]{0,39}[a-z0-9])?$`."],
    ["RunSpec.student", "Required."],
    ["RunSpec.phases", "1 to 256 elements."],
    ["RunSpec.seed", ""],
    ["SamplingParams.topP", "Above 0, at most 1."],
    ["SignalSpec.kind", "One of `full`, `hidden`, `random_k`, `sampled`, `student_top_k`, `top_k`."],
    ["ListSamplesRequest.minReward", ""],
    ["ListRunsRequest.pageSize", "At most 1000."],
    ["ReadFiguresRequest.names", "At most 256 elements. Each at most 256 characters."],
    [
      "SamplingParams.temperature",
      "From 0 to 100. Must be 0 (greedy) or at least 0.001: logits divided by less leave what float32 can hold.",
    ],
  ])("says of %s: %s", (named, expected) => {
    const [message, field] = named.split(".");
    const found = protoMessages.find(({ name }) => name === message)?.fields.find(({ localName }) => localName === field);
    expect(found && ruleText(found)).toBe(expected);
  });
});
