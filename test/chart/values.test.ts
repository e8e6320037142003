import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { describeChart, examples, lint, renderText } from "./support/render.js";

describeChart("the chart's values", () => {
  it.each([undefined, ...examples])("pass helm's lint: %s", async (example) => {
    expect(await lint({ example })).toContain("0 chart(s) failed");
  });

  it.each([
    ["a value that does not exist", "imagee.tag=1", /additional properties 'imagee' not allowed/],
    ["a role that does not exist", "roles.pupil.gpus=1", /\/roles[\s\S]*additional properties 'pupil' not allowed/],
    ["a misspelt setting of a role", "roles.student.settings.maxRow=8", /\/roles\/student\/settings[\s\S]*'maxRow' not allowed/],
    ["a setting of another role", "roles.student.settings.batchTokens=8", /'batchTokens' not allowed/],
    ["a setting that the chart decides", 'controller.settings.host="127.0.0.1"', /'host' not allowed/],
    ["a setting out of bounds", "roles.student.settings.maxRows=0", /\/roles\/student\/settings\/maxRows[\s\S]*minimum/],
    ["more GPUs than a process computes on", "roles.student.gpus=2", /\/roles\/student\/gpus[\s\S]*maximum/],
    ["a device that Retort refuses", 'roles.student.settings.device="webgpu"', /\/settings\/device[\s\S]*'cpu', 'cuda'/],
    ["a word that is no choice", 'weights.store="disk"', /\/weights\/store[\s\S]*'directory', 'nats'/],
    ["a NATS URL that is none", 'nats.url="nats.messaging:4222"', /\/nats\/url[\s\S]*does not match/],
  ])("refuse %s", async (_, value, message) => {
    await expect(renderText({ set: [value] })).rejects.toThrow(message);
  });

  it("need the URL of a NATS that is not the release's own", async () => {
    await expect(renderText({ set: ["nats.enabled=false"] })).rejects.toThrow(/nats\.url is needed/);
  });

  it("need the bucket of a store in S3", async () => {
    await expect(renderText({ set: ['weights.store="s3"'] })).rejects.toThrow(/weights\.url is needed/);
  });

  it("refuse a directory of weights that students cannot see", async () => {
    await expect(renderText({ set: ['weights.store="directory"', 'data.roles=["learner"]'] })).rejects.toThrow(
      /add student to data\.roles/,
    );
  });
});

describe("values.schema.json", () => {
  it("is what the roles' settings say", () => {
    expect(() => execFileSync(process.execPath, [resolve("dist/deploy/values-schema.js"), "--check"], { stdio: "pipe" })).not.toThrow();
  });
});
