import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, collectDefaultMetrics, Gauge, Histogram, type LabelValues, Registry } from "prom-client";
import type { Service } from "./lifecycle.js";
import { listen } from "./listen.js";

/** Says one figure under its labels. */
export type SetFigure<L extends string> = (labels: Readonly<Record<L, string>>, value: number) => void;

/** A role's metrics, named `retort_<role>_<what>_<unit>`. */
export class Metrics {
  readonly registry = new Registry();
  readonly #prefix: string;

  /** @param labels of every series of the process: the run that it serves */
  constructor(role: string, labels: Readonly<Record<string, string>> = {}) {
    this.#prefix = `retort_${role}_`;
    this.registry.setDefaultLabels(labels);
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

  /** Something that rises and falls, and is looked up whenever somebody asks. What `read` doesn't set isn't there; it must not fail. */
  observed<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: (set: SetFigure<L>) => Promise<void> | void,
  ): void {
    const gauge: Gauge<L> = new Gauge({
      name: this.#prefix + name,
      help,
      labelNames,
      registers: [this.registry],
      async collect() {
        this.reset();
        // Without labels there is a zero from the start, which would be a figure.
        if (labelNames.length === 0) this.remove();
        await read((labels, value) => gauge.set(labels as LabelValues<L>, value));
      },
    });
  }

  /** Something that only grows and is counted elsewhere; its name ends in `_total`. */
  total(name: string, help: string, read: () => number): void {
    const counter: Counter = new Counter({
      name: this.#prefix + name,
      help,
      registers: [this.registry],
      collect() {
        counter.reset();
        counter.inc(read());
      },
    });
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
