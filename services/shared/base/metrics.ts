import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Service } from "./lifecycle.js";
import { listen } from "./listen.js";

/** A role's metrics, named `retort_<role>_<what>_<unit>`. */
export class Metrics {
  readonly registry = new Registry();
  readonly #prefix: string;

  constructor(role: string) {
    this.#prefix = `retort_${role}_`;
    collectDefaultMetrics({ register: this.registry });
  }

  /** Something that only grows; its name ends in `_total`. */
  counter<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name: this.#prefix + name, help, labelNames, registers: [this.registry] });
  }

  /** Something that rises and falls. */
  gauge<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge({ name: this.#prefix + name, help, labelNames, registers: [this.registry] });
  }

  /** Durations in seconds, from a millisecond to ten minutes. */
  seconds(name: string, help: string): Histogram {
    const buckets = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600];
    return new Histogram({ name: `${this.#prefix}${name}_seconds`, help, buckets, registers: [this.registry] });
  }
}

/** Serves a registry to Prometheus at /metrics; port 0 takes a free one. */
export function metricsServer(registry: Registry, host: string, port: number): Service & { readonly port: () => number } {
  const server = createServer((request, response) => {
    if (request.url !== "/metrics") {
      response.writeHead(404).end("see /metrics\n");
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  return {
    name: "metrics",
    port: () => (server.address() as AddressInfo).port,
    async start() {
      await listen(server, host, port, "metrics", "--metrics-port");
    },
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
