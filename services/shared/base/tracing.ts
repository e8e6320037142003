import { type Attributes, type Context, context, propagation, type Span, SpanStatusCode, trace } from "@opentelemetry/api";

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
