import type { SyntaxNode } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";

/** What a PromQL expression asks for. */
export interface Asked {
  /** Each series that it reads, with the labels that it is chosen by. */
  readonly selectors: readonly { readonly metric: string; readonly labels: readonly string[] }[];
  /** Labels that it groups or matches by. */
  readonly grouping: readonly string[];
}

/** Reads an expression by Prometheus' own grammar. @throws where it isn't PromQL, with what stands there */
export function readPromql(expression: string): Asked {
  // Grafana puts a duration in its place.
  const text = expression.replaceAll("$__rate_interval", "5m");
  const selectors: { metric: string; labels: string[] }[] = [];
  const grouping: string[] = [];
  const textOf = ({ from, to }: SyntaxNode) => text.slice(from, to);
  parser.parse(text).iterate({
    enter({ node }) {
      if (node.type.isError) throw new Error(`${expression} is no PromQL at "${text.slice(Math.max(0, node.from - 20), node.to + 20)}"`);
      if (node.name === "VectorSelector") {
        const labels = node.getChild("LabelMatchers")?.getChildren("UnquotedLabelMatcher") ?? [];
        selectors.push({
          metric: textOf(node.getChild("Identifier")!),
          labels: labels.map((label) => textOf(label.getChild("LabelName")!)),
        });
      }
      if (node.name === "GroupingLabels") grouping.push(...node.getChildren("LabelName").map(textOf));
    },
  });
  return { selectors, grouping };
}

/** The series that texts of /metrics tell of: the labels of each, by its name. A metric without a series has none. */
export class Exposed {
  readonly #labels = new Map<string, Set<string>>();

  /** @param text as a process answers it @param further labels that a scrape adds */
  add(text: string, further: readonly string[] = []): void {
    for (const [, name = "", own = ""] of text.matchAll(/^([a-zA-Z_:]\w*)(?:\{(.*)\})? \S+$/gm)) {
      const labels = this.#labels.get(name) ?? new Set(further);
      for (const [, label = ""] of own.matchAll(/(\w+)="/g)) labels.add(label);
      this.#labels.set(name, labels);
    }
  }

  /** The labels of a metric; undefined where nothing tells of it. */
  labelsOf(metric: string): ReadonlySet<string> | undefined {
    return this.#labels.get(metric);
  }

  /** What an expression, and the labels that its legend or its annotations show, ask for and nothing tells of. */
  missing(expression: string, shown: readonly string[] = []): string[] {
    const { selectors, grouping } = readPromql(expression);
    const unknown = selectors.flatMap(({ metric, labels }) => {
      const there = this.labelsOf(metric);
      if (!there) return [`${metric} is nowhere`];
      return [...labels, ...grouping].filter((label) => !there.has(label)).map((label) => `${metric} has no label ${label}`);
    });
    const all = new Set(selectors.flatMap(({ metric }) => [...(this.labelsOf(metric) ?? [])]));
    return [...unknown, ...shown.filter((label) => !all.has(label)).map((label) => `${expression} shows ${label}, which nothing has`)];
  }
}
