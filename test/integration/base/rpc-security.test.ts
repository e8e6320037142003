import grpc from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { generate } from "selfsigned";
import { createLog } from "../../../services/shared/base/log.js";
import { type Client, type ClientOptions, createClient } from "../../../services/shared/base/rpc/client.js";
import { implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer, type RpcServerOptions } from "../../../services/shared/base/rpc/server.js";
import { Scope } from "../../../services/shared/gen/retort/v1/access_pb.js";
import { RewardService } from "../../../services/shared/gen/retort/v1/reward_pb.js";
import { eventually } from "../../support/servers/nats.js";

type RewardClient = Client<typeof RewardService>;

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

/** The status with which a server answers a question of reflection. */
function reflects(port: number, token?: string): Promise<number> {
  const Reflection = grpc.makeGenericClientConstructor({}, "reflection");
  const client = new Reflection(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  if (token) metadata.set("authorization", `Bearer ${token}`);
  const bytes = (value: Buffer) => value;
  const stream = client.makeBidiStreamRequest("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", bytes, bytes, metadata);
  // list_services = "*"
  stream.write(Buffer.from([0x3a, 0x01, 0x2a]));
  stream.end();
  stream.on("data", () => {});
  stream.on("error", () => {});
  return new Promise((resolve) => stream.on("status", ({ code }: { code: number }) => resolve(code))).finally(() =>
    client.close(),
  ) as Promise<number>;
}

describe("a gRPC server's doors", () => {
  let server: RpcServer;
  const open = async (options: Partial<RpcServerOptions>) => {
    const service = implement(RewardService, {
      describe: async () => ({}),
      evaluate: async () => {
        inProgress++;
        await held;
        inProgress--;
        return {};
      },
    });
    server = new RpcServer([service], { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1 << 20, ...options }, log);
    await server.start();
  };
  let held: Promise<void> | undefined;
  let inProgress = 0;
  beforeEach(() => {
    held = undefined;
    inProgress = 0;
  });
  const call = async (
    options: Partial<ClientOptions>,
    work: (client: RewardClient) => Promise<unknown> = (client) => client.describe({}),
  ) => {
    const client = createClient(RewardService, `localhost:${server.port}`, { timeoutMs: 10_000, maxMessageBytes: 1 << 20, ...options });
    try {
      await work(client);
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

  const three = [
    { token: "all", scope: Scope.ADMIN },
    { token: "runs", scope: Scope.RUN },
    { token: "looks", scope: Scope.READ },
  ];
  it.each([
    ["all", ["ok", "ok"]],
    ["runs", ["ok", "ok"]],
    ["looks", ["ok", "PermissionDenied"]],
    ["", ["Unauthenticated", "Unauthenticated"]],
    ["a".repeat(7000), ["Unauthenticated", "Unauthenticated"]],
  ])("ask for the scope that a method declares (case %#)", async (token, outcomes) => {
    await open({ access: { grants: three } });
    expect([await call({ token }), await call({ token }, (client) => client.evaluate({ inputs: [{ completion: "x" }] }))]).toEqual(
      outcomes,
    );
  });

  it("refuse a caller before its message is read", async () => {
    await open({ access: { grants: three } });
    // Its message breaks the method's rules, which only somebody with a token is told.
    const bad = (client: RewardClient) => client.evaluate({ inputs: [], rewards: [{ kind: "no such reward" }] });
    expect([await call({}, bad), await call({ token: "runs" }, bad)]).toEqual(["Unauthenticated", "InvalidArgument"]);
  });

  it("show what there is to call only to those who may look", async () => {
    await open({ access: { grants: three } });
    expect([await reflects(server.port), await reflects(server.port, "looks")]).toEqual([grpc.status.UNAUTHENTICATED, grpc.status.OK]);
  });

  it("refuse more calls than they may have in progress, and take calls again when those have ended", async () => {
    let release: () => void = () => {};
    held = new Promise((resolve) => (release = resolve));
    await open({ access: { maxCalls: 2 } });
    const evaluate = (client: RewardClient) => client.evaluate({ inputs: [{ completion: "x" }] });
    const waiting = [call({}, evaluate), call({}, evaluate)];
    await eventually("two calls are in progress", () => inProgress === 2);
    expect(await call({})).toBe("ResourceExhausted");
    expect(await health(server.port)).toBe("SERVING");
    release();
    expect(await Promise.all(waiting)).toEqual(["ok", "ok"]);
    expect(await call({})).toBe("ok");
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
