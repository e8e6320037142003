import grpc from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { generate } from "selfsigned";
import { createLog } from "../../../services/shared/base/log.js";
import { type ClientOptions, createClient } from "../../../services/shared/base/rpc/client.js";
import { implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer, type RpcServerOptions } from "../../../services/shared/base/rpc/server.js";
import { Scope } from "../../../services/shared/gen/retort/v1/access_pb.js";
import { RewardService } from "../../../services/shared/gen/retort/v1/reward_pb.js";

const log = createLog("test", { level: "silent", format: "json" });

async function makeCertificate() {
  const pem = await generate([{ name: "commonName", value: "localhost" }], { algorithm: "sha256" });
  return { cert: Buffer.from(pem.cert), key: Buffer.from(pem.private) };
}

/** Asks the standard health service, as Kubernetes does. */
function health(port: number, name = ""): Promise<string> {
  const Health = grpc.makeClientConstructor(healthService as never, "grpc.health.v1.Health");
  const client = new Health(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.check!({ service: name }, { deadline: Date.now() + 2000 }, (error: Error | null, answer: { status: string }) => {
      client.close();
      if (error) reject(error);
      else resolve(answer.status);
    });
  });
}

describe("a gRPC server's doors", () => {
  let server: RpcServer;
  const open = async (options: Partial<RpcServerOptions>) => {
    const service = implement(RewardService, {
      describe: async () => ({}),
      evaluate: async () => ({}),
    });
    server = new RpcServer([service], { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1 << 20, ...options }, log);
    await server.start();
  };
  const call = async (options: Partial<ClientOptions>) => {
    const client = createClient(RewardService, `localhost:${server.port}`, { timeoutMs: 2000, maxMessageBytes: 1 << 20, ...options });
    try {
      await client.describe({});
      return "ok";
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      client.close();
    }
  };
  afterEach(() => server.stop());

  it.each([
    ["secret", "ok"],
    ["secre", "Unauthenticated"],
    ["secrets", "Unauthenticated"],
    ["", "Unauthenticated"],
    [undefined, "Unauthenticated"],
  ])("take the token `secret` and answer `%s` with %s", async (token, outcome) => {
    await open({ access: { grants: [{ token: "secret", scope: Scope.ADMIN }] } });
    expect(await call({ token })).toBe(outcome);
  });

  it("speak TLS to those who trust the certificate, and to nobody in plaintext", async () => {
    const own = await makeCertificate();
    const other = await makeCertificate();
    await open({ tls: own });
    expect(await call({ tls: { ca: own.cert } })).toBe("ok");
    expect(await call({ tls: { ca: other.cert } })).toBe("Unavailable");
    expect(await call({})).toBe("Unavailable");
  });

  it("let in only clients with a certificate when an authority is set", async () => {
    const own = await makeCertificate();
    const known = await makeCertificate();
    const stranger = await makeCertificate();
    await open({ tls: { ...own, ca: known.cert } });
    expect(await call({ tls: { ca: own.cert, ...known } })).toBe("ok");
    expect(await call({ tls: { ca: own.cert, ...stranger } })).toBe("Unavailable");
    expect(await call({ tls: { ca: own.cert } })).toBe("Unavailable");
  });

  it("leave health open on a port of its own, without certificate and token", async () => {
    await open({ tls: await makeCertificate(), access: { grants: [{ token: "secret", scope: Scope.ADMIN }] } });
    expect(await health(server.healthPort)).toBe("SERVING");
    expect(await health(server.healthPort, "retort.v1.RewardService")).toBe("SERVING");
    server.serving(false);
    expect(await health(server.healthPort)).toBe("NOT_SERVING");
    await expect(health(server.healthPort, "retort.v1.Unheard")).rejects.toMatchObject({ code: 5 });
  });
});
