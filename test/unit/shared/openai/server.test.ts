import { request } from "node:http";
import { createLog } from "../../../../services/shared/base/log.js";
import { Scope } from "../../../../services/shared/gen/retort/v1/access_pb.js";
import type { ServedModel } from "../../../../services/shared/openai/served-model.js";
import { OpenaiServer } from "../../../../services/shared/openai/server.js";

const log = createLog("test", { level: "silent", format: "json" });
const served: ServedModel = { name: "m", maxPositions: 8, fingerprint: "f", model: {} as ServedModel["model"] };

describe("OpenaiServer", () => {
  let server: OpenaiServer;
  let url: string;
  beforeEach(async () => {
    const grants = [{ token: "reader", scope: Scope.READ }];
    server = new OpenaiServer({ host: "127.0.0.1", port: 0, grants, maxCalls: 1, maxMessageBytes: 1000 }, () => served, log);
    await server.start();
    url = `http://127.0.0.1:${server.port}/v1`;
  });
  afterEach(() => server.stop());

  const models = async (token = "reader") => {
    const response = await fetch(`${url}/models`, { headers: { authorization: `Bearer ${token}` } });
    return { status: response.status, body: await response.text() };
  };

  it("counts requests in progress as gRPC's servers do: those that aren't let in are none", async () => {
    for (const token of ["guess", "reader", "guess", "reader"]) expect((await models(token)).status).toBe(token === "reader" ? 200 : 401);
  });

  it("refuses what is more than maxCalls, and has room again afterwards", async () => {
    await server.stop();
    server = new OpenaiServer({ host: "127.0.0.1", port: 0, grants: [], maxCalls: 1, maxMessageBytes: 1000 }, () => served, log);
    await server.start();
    url = `http://127.0.0.1:${server.port}/v1`;
    const first = request(`${url}/completions`, { method: "POST", headers: { expect: "100-continue" } });
    const answered = new Promise<number | undefined>((resolve) =>
      first.on("response", (response) => resolve(response.resume().statusCode)),
    );
    // The server has read its head, and waits for the rest.
    await new Promise<void>((resolve) => first.once("continue", resolve));
    const refused = await models();
    expect(refused.status).toBe(429);
    expect(refused.body).toMatch(/1 call is in progress, and maxCalls is 1; try again later, or raise it/);
    first.end("no JSON");
    expect(await answered).toBe(400);
    expect((await models()).status).toBe(200);
  });

  it.each([
    ["/v1/completions", "a token of scope read may not have things written", 403],
    ["/v1/nothing", "what is not served is said to those who may read", 404],
  ])("of %s: %s", async (path, _, status) => {
    const response = await fetch(new URL(path, url), { method: "POST", headers: { authorization: "Bearer reader" }, body: "{}" });
    expect(response.status).toBe(status);
  });
});
