import { trace } from "@opentelemetry/api";

/** What a log line says of the trace it was written in. */
export function traceFields(): { readonly traceId?: string } {
  const span = trace.getActiveSpan();
  return span ? { traceId: span.spanContext().traceId } : {};
}
