import { type Attributes, type Context, context, diag, propagation, type Span, SpanStatusCode, trace } from "@opentelemetry/api";
import type { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import type { Service } from "./lifecycle.js";
import type { Log } from "./log.js";

/**
 * Makes this process part of traces: one trace per optimiser step, over every role that works on it. The context travels
 * as W3C `traceparent` in NATS headers and gRPC metadata, exported or not, so that log lines of one step share a traceId.
 *
 * @param endpoint where spans go (OTLP over HTTP, `/v1/traces` is appended); without one they go nowhere
 */
export function tracing(role: string, endpoint: string | undefined, log: Log): Service {
  let provider: NodeTracerProvider | undefined;
  return {
    name: "tracing",
    start: async () => {
      const warn = (message: string) => log.warn(`tracing: ${message}`);
      const quiet = () => {};
      diag.setLogger({ error: warn, warn, info: quiet, debug: quiet, verbose: quiet });
      // Loaded where a role starts: commands and worker threads only pass a trace on.
      const [{ NodeTracerProvider }, { resourceFromAttributes }] = await Promise.all([
        import("@opentelemetry/sdk-trace-node"),
        import("@opentelemetry/resources"),
      ]);
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
  const { BatchSpanProcessor } = await import("@opentelemetry/sdk-trace-node");
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  return new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, "")}/v1/traces` }));
}

const tracer = () => trace.getTracer("retort");

/** A span that outlives the call that opened it. */
export interface OpenSpan {
  /** Runs work as part of the span. */
  run<T>(work: () => Promise<T>): Promise<T>;
  end(): void;
}

/** Opens the first span of a new trace. */
export function openSpan(name: string, attributes: Attributes): OpenSpan {
  const span = tracer().startSpan(name, { attributes, root: true });
  const within = trace.setSpan(context.active(), span);
  return { run: (work) => context.with(within, work), end: () => span.end() };
}

/** Runs work as a span of the trace at hand, or of the one that a message or call came with. */
export function traced<T>(name: string, attributes: Attributes, work: () => Promise<T>, parent: Context = context.active()): Promise<T> {
  return tracer().startActiveSpan(name, { attributes }, parent, async (span) => {
    try {
      return await work();
    } catch (error) {
      markFailed(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

function markFailed(span: Span, error: unknown): void {
  span.recordException(error as Error);
  span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message });
}

/** The headers that carry the trace at hand to another process; none outside a trace. */
export function traceHeaders(): Readonly<Record<string, string>> {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier;
}

/** The trace that a message or call came with. */
export const traceOf = (header: (name: string) => string | undefined): Context =>
  propagation.extract(context.active(), header, { get: (read, name) => read(name), keys: () => [] });
