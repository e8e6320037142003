import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tenants } from "../../../services/controller/tenants.js";
import { callerOf, grantsOf } from "../../../services/shared/base/rpc/access.js";
import { Scope } from "../../../services/shared/gen/retort/v1/access_pb.js";

const token = "a-token-of-16-characters";

describe("Tenants", () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "retort-tenants-"));
  });
  afterAll(() => rm(directory, { recursive: true }));
  const read = async (text: string) => {
    const path = join(directory, "tenants.yaml");
    await writeFile(path, text);
    return Tenants.read(path);
  };

  it("have tokens, scopes and quotas by their names", async () => {
    const tenants = await read(`vision: { token: ${token}, quota: { runs: 2 } }\nguest: { token: ${token}-2, scope: read }\n`);
    expect(tenants.grants).toEqual([
      { name: "vision", token, scope: Scope.RUN },
      { name: "guest", token: `${token}-2`, scope: Scope.READ },
    ]);
    expect([tenants.quotaOf("vision"), tenants.quotaOf("guest"), tenants.quotaOf("")]).toEqual([{ runs: 2 }, {}, {}]);
    expect(Tenants.read(undefined).grants).toEqual([]);
    expect((await read("")).grants).toEqual([]);
  });

  it.each([
    ["a name that is none", `Vision: { token: ${token} }`, /Vision/],
    ["a short token", "vision: { token: short }", /vision\.token: a token has 16 characters or more/],
    ["an unknown scope", `vision: { token: ${token}, scope: all }`, /vision\.scope/],
    ["an unknown quota", `vision: { token: ${token}, quota: { gpus: 2 } }`, /vision\.quota/],
    ["a list", `- ${token}`, /isn't a file of tenants/],
    ["no YAML", `vision: { token: ${token}`, /isn't a file of tenants/],
  ])("refuse %s, and don't show what stands there", async (_, text, expected) => {
    const refused = await read(text).then(
      () => "",
      (error: Error) => error.message,
    );
    expect(refused).toMatch(expected);
    expect(refused).toMatch(/^--tenants names .*; write NAME: /);
    expect(refused).not.toContain(token);
  });

  it("are refused without a token that permits everything, and where two tokens are alike", () => {
    const one = { name: "vision", token, scope: Scope.RUN };
    expect(() => grantsOf({}, [one])).toThrow(/--tenants needs --token/);
    expect(() => grantsOf({ token }, [one])).toThrow(/the token of the tenant vision is another's too/);
    expect(() => grantsOf({ token: "other" }, [one, { ...one, name: "speech" }])).toThrow(/is another's too/);
  });
});

describe("callerOf()", () => {
  const grants = grantsOf({ token: "all" }, [{ name: "vision", token, scope: Scope.RUN }]);

  it("is who the token says, whatever else is shown", () => {
    expect(callerOf(`Bearer ${token}`, grants)).toEqual({ name: "vision", scope: Scope.RUN });
    expect(callerOf("Bearer all", grants)).toEqual({ name: "", scope: Scope.ADMIN });
    expect(callerOf("Bearer vision", grants)).toBeUndefined();
    expect(callerOf("", grants)).toBeUndefined();
    expect(callerOf("", [])).toEqual({ name: "", scope: Scope.ADMIN });
  });
});
