import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { createLog } from "../../../services/shared/base/log.js";
import { implement } from "../../../services/shared/base/rpc/handlers.js";
import { RpcServer } from "../../../services/shared/base/rpc/server.js";
import { StudentService } from "../../../services/shared/gen/retort/v1/student_pb.js";

interface Answer {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number };
}

describe.each(["v1", "v1alpha"])("reflection %s", (version) => {
  let server: RpcServer;
  beforeAll(async () => {
    const service = implement(StudentService, { getStatus: async () => ({}), sample: async function* () {} });
    const options = { host: "127.0.0.1", port: 0, healthPort: 0, maxMessageBytes: 1 << 20 };
    server = new RpcServer([service], options, createLog("test", { level: "silent", format: "json" }));
    await server.start();
  });
  afterAll(() => server.stop());

  /** Asks one question, as grpcurl does. */
  function ask(question: Record<string, string>): Promise<Answer> {
    const home = dirname(createRequire(import.meta.url).resolve("@grpc/reflection/package.json"));
    const definition = loadSync(join(home, `build/proto/grpc/reflection/${version}/reflection.proto`));
    const service = definition[`grpc.reflection.${version}.ServerReflection`] as grpc.ServiceDefinition;
    const Reflection = grpc.makeClientConstructor(service, "reflection");
    const client = new Reflection(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
    const call = (client.serverReflectionInfo as () => grpc.ClientDuplexStream<unknown, Answer>).call(client);
    return new Promise<Answer>((resolve, reject) => {
      call.once("data", resolve);
      call.once("error", reject);
      call.write(question);
      call.end();
    }).finally(() => client.close());
  }

  it("lists the services", async () => {
    const { listServicesResponse } = await ask({ listServices: "" });
    expect(listServicesResponse?.service.map(({ name }) => name)).toEqual(["retort.v1.StudentService"]);
  });

  it.each(["retort.v1.StudentService", "retort.v1.SampleRequest", "retort.v1.Sequence"])(
    "describes %s and what it needs",
    async (symbol) => {
      const { fileDescriptorResponse } = await ask({ fileContainingSymbol: symbol });
      const text = Buffer.concat([...fileDescriptorResponse!.fileDescriptorProto]).toString("latin1");
      expect(text).toContain(symbol.split(".").at(-1));
      expect(text).toContain("SamplingParams");
    },
  );

  it("says that it does not know a symbol", async () => {
    expect((await ask({ fileContainingSymbol: "retort.v1.Nothing" })).errorResponse?.errorCode).toBe(grpc.status.NOT_FOUND);
  });
});
