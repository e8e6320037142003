import { diag } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import type { Service } from "./lifecycle.js";
import type { Log } from "./log.js";

/**
 * Makes this process part of traces: one trace per optimiser step, over every role that works on it. The context travels
 * as W3C `traceparent` in NATS headers and gRPC metadata, exported or not, so that log lines of one step share a traceId.
 *
 * @param endpoint where spans go (OTLP over HTTP, `/v1/traces` is appended); without one they go nowhere
 */
export function tracingService(role: string, endpoint: string | undefined, log: Log): Service {
  let provider: NodeTracerProvider | undefined;
  return {
    name: "tracing",
    start: async () => {
      const warn = (message: string) => log.warn(`tracing: ${message}`);
      const quiet = () => {};
      diag.setLogger({ error: warn, warn, info: quiet, debug: quiet, verbose: quiet });
      provider = new NodeTracerProvider({
        resource: resourceFromAttributes({ "service.name": `retort-${role}`, "service.instance.id": String(process.pid) }),
        spanProcessors: endpoint ? [await processorTo(endpoint)] : [],
      });
      provider.register();
    },
    stop: async () => provider?.shutdown(),
  };
}

/** The exporter is loaded only where spans go somewhere: it takes a fifth of a process's start. */
async function processorTo(endpoint: string): Promise<BatchSpanProcessor> {
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  return new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, "")}/v1/traces` }));
}
