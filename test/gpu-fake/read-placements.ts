import type { Work } from "./graphs.js";

/** What stands in the log before the name of the graph that is compiled next: WORK/NAME. */
export const graphMark = "retort graph: ";

/** Where the nodes of a graph, and of the bodies in it, are computed. */
export interface Placement {
  readonly work: Work;
  readonly name: string;
  /** Operators by the provider that computes them, each as often as it has a node. */
  readonly operators: ReadonlyMap<string, readonly string[]>;
  /** Nodes that copy between the host and the device. */
  readonly copies: number;
}

/** Placements in a verbose log of onnxruntime. @throws an Error if it says nothing of a graph's nodes */
export function placementsIn(log: string): Placement[] {
  return log
    .split(graphMark)
    .slice(1)
    .map((part) => {
      const [title = "", ...lines] = part.split("\n");
      const slash = title.indexOf("/");
      const operators = operatorsIn(lines);
      if (operators.size === 0) throw new Error(`onnxruntime does not say where the nodes of ${title} are placed`);
      const isCopy = (operator: string) => operator.startsWith("Memcpy");
      const copies = [...operators.values()].flat().filter(isCopy).length;
      const computing = [...operators].map(([provider, nodes]) => [provider, nodes.filter((node) => !isCopy(node))] as const);
      return { work: title.slice(0, slash) as Work, name: title.slice(slash + 1), operators: new Map(computing), copies };
    });
}

function operatorsIn(lines: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let provider = "";
  for (const line of lines) {
    const named = /placed on \[(\w+)\]/.exec(line)?.[1];
    // Of a graph whose nodes are all in one place, they aren't listed.
    if (named) found.set(named, found.get(named) ?? []);
    provider = named ?? provider;
    const operator = /VerifyEachNodeIsAssignedToAnEp\]\s+(\w+) \(/.exec(line)?.[1];
    if (operator) found.set(provider, [...(found.get(provider) ?? []), operator]);
  }
  return found;
}
