import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { RunState } from "../../services/shared/gen/retort/v1/run_pb.js";
import { LocalCluster, tinySpec } from "../support/runs/local-run.js";

/** A span as OTLP's JSON has it, with the service that made it. */
interface Span {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Span["attributes"] };
    readonly scopeSpans: readonly { readonly spans: readonly Omit<Span, "service">[] }[];
  }[];
}

/** What an OpenTelemetry collector does with traces, as far as this test needs it. */
class Collector {
  readonly spans: Span[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        expect(request.url).toBe("/v1/traces");
        this.#take(JSON.parse(Buffer.concat(chunks).toString()) as Export);
        response.writeHead(200, { "content-type": "application/json" }).end("{}");
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #take({ resourceSpans }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = String(attribute(resource.attributes, "service.name"));
      for (const { spans } of scopeSpans) this.spans.push(...spans.map((span) => ({ ...span, service })));
    }
  }
}

const attribute = (attributes: Span["attributes"], name: string): unknown =>
  Object.values(attributes.find(({ key }) => key === name)?.value ?? {})[0];

describe("the trace of an optimiser step", () => {
  const collector = new Collector();
  let state: RunState;

  beforeAll(async () => {
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = await collector.listen();
    const cluster = await LocalCluster.start();
    const phase = "{ preset: rl_gkd, steps: 2, batchSize: 4, sampling: { maxNewTokens: 8 } }";
    const runId = await cluster.begin(tinySpec("traced", `rewards: [{ kind: exact_match }]\nphases: [${phase}]`));
    ({
      run: { state },
    } = await cluster.watch(runId));
    // A process hands in what it still has when it stops.
    await cluster.stop();
  });
  afterAll(() => {
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
    collector.close();
  });

  const step = (n: number): Span => {
    const found = collector.spans.filter(({ name, attributes }) => name === "step" && Number(attribute(attributes, "step")) === n);
    expect(found).toHaveLength(1);
    return found[0]!;
  };
  const inTrace = (root: Span, service: string, name: string): Span => {
    const found = collector.spans.filter((span) => span.traceId === root.traceId && span.service === service && span.name === name);
    expect([service, name, found.length]).toEqual([service, name, 1]);
    return found[0]!;
  };

  it("is one for every role that worked on it", () => {
    expect(state).toBe(RunState.SUCCEEDED);
    for (const root of [step(1), step(2)]) {
      const sample = inTrace(root, "retort-student", "sample");
      expect(sample.parentSpanId).toBe(root.spanId);
      expect(inTrace(root, "retort-teacher", "score").parentSpanId).toBe(sample.spanId);
      expect(inTrace(root, "retort-reward", "evaluate").parentSpanId).toBe(sample.spanId);
      expect(inTrace(root, "retort-learner", "train").parentSpanId).toBe(root.spanId);
      expect(inTrace(root, "retort-learner", "publish weights").parentSpanId).toBe(root.spanId);
    }
    expect(step(1).traceId).not.toBe(step(2).traceId);
  });

  it("is another than that of the call that started the run", () => {
    const call = collector.spans.find(({ name }) => name === "retort.v1.ControllerService/StartRun");
    expect(call?.service).toBe("retort-controller");
    expect(call?.traceId).not.toBe(step(1).traceId);
  });
});
