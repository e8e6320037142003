import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { modelSettings, processSettings, readSettings, toFlags, unlikeDefaults } from "../../../../services/shared/base/settings.js";

describe("readSettings()", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "retort-settings-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const file = (text: string): string => {
    const path = join(directory, "settings.yaml");
    writeFileSync(path, text);
    return path;
  };

  it("lets flags win over the environment, that over the file, that over the defaults", () => {
    const config = file("port: 1\nhealthPort: 1\nmetricsPort: 1\n");
    const env = { RETORT_PORT: "2", RETORT_HEALTH_PORT: "2" };
    const settings = readSettings(processSettings, ["--config", config, "--port", "3"], env);
    expect(settings).toMatchObject({ port: 3, healthPort: 2, metricsPort: 1, host: "127.0.0.1" });
  });

  it("reads RETORT_NATS_URL", () => {
    expect(readSettings(processSettings, [], { RETORT_NATS_URL: "nats://far:4222" }).nats).toBe("nats://far:4222");
  });

  it("takes an empty variable for an unset one", () => {
    const settings = readSettings(processSettings, [], { RETORT_MAX_MESSAGE_BYTES: "", RETORT_TOKEN: "" });
    expect([settings.maxMessageBytes, settings.token]).toEqual([64 * 1024 * 1024, undefined]);
  });

  it("names every malformed setting with its value and where it came from", () => {
    const config = file("grace: 1\nlogLevel: loud\n");
    let error: unknown;
    try {
      readSettings(modelSettings, ["--port=70000", "--config", config], { RETORT_DEVICE: "tpu" });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "InvalidArgument" });
    const { message } = error as Error;
    expect(message).toMatch(/4 problems/);
    expect(message).toMatch(/--port: .*70000, by the command line/);
    expect(message).toMatch(/--device: .*cuda.*tpu, by the environment/);
    expect(message).toMatch(/--log-level: .*loud, by .*settings.yaml/);
    expect(message).toMatch(/--grace: .*grace.*by .*settings.yaml/);
  });

  it.each([
    ["an unknown flag", ["--prot", "1"], /--prot.*known settings:.*--port/s],
    ["a word that is no flag", ["8080"], /8080.*known settings/s],
    ["a file that is not there", ["--config", "/nowhere.yaml"], /\/nowhere\.yaml.*ENOENT/s],
  ])("refuses %s", (_, argv, message) => {
    expect(() => readSettings(processSettings, argv, {})).toThrow(message);
  });

  it("refuses a file that is a list", () => {
    expect(() => readSettings(processSettings, ["--config", file("- port\n")], {})).toThrow(/name: value/);
  });
});

describe("unlikeDefaults()", () => {
  it("shows what was changed, and no secret", () => {
    const settings = readSettings(processSettings, ["--port", "5", "--token", "secret", "--host", "127.0.0.1"], {});
    expect(unlikeDefaults(processSettings, settings)).toEqual({ port: 5, token: "***" });
  });
});

describe("processSettings", () => {
  it("has a JSON schema for Helm: draft 7, strict, with bounds and descriptions", () => {
    const schema = z.toJSONSchema(processSettings, { io: "input", target: "draft-7" }) as {
      additionalProperties: boolean;
      properties: Record<string, { description?: string; maximum?: number }>;
    };
    expect(schema.additionalProperties).toBe(false);
    expect(schema.properties.port).toMatchObject({ description: expect.stringContaining("gRPC port"), maximum: 65535 });
  });
});

describe("toFlags()", () => {
  it("writes what readSettings() reads", () => {
    const settings = { weightStore: "s3", weightUrl: "s3://bucket/a=b", maxMessageBytes: 70_000 } as const;
    expect(toFlags({ ...settings, natsCredentials: undefined })).toEqual([
      "--weight-store=s3",
      "--weight-url=s3://bucket/a=b",
      "--max-message-bytes=70000",
    ]);
    expect(readSettings(processSettings, toFlags(settings), {})).toMatchObject(settings);
  });
});
