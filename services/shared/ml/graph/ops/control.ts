import { RetortError } from "../../../base/errors.js";
import { Graph, graphOf, type OutputType, Value } from "../graph.js";

/**
 * ONNX Loop. `body` takes (iteration int64 [], condition bool [], …state) and gives (condition, …state, …scanned):
 * the state goes from one iteration to the next, each scanned output is stacked along a new first axis.
 *
 * @param tripCount int64 [] or undefined; @param condition bool [] or undefined
 * @param scanned types of the stacked outputs, their first dimension included
 * @returns the final state, then the stacked outputs
 */
export function loop(
  graph: Graph,
  body: Graph,
  tripCount: Value | undefined,
  condition: Value | undefined,
  state: readonly Value[],
  scanned: readonly OutputType[],
): { readonly state: readonly Value[]; readonly scanned: readonly Value[] } {
  const types = [...state.map(({ dtype, shape }) => ({ dtype, shape })), ...scanned];
  if (body.parent !== graph) throw new RetortError("Internal", `Loop: the body ${body.name} must be a child of ${graph.name}`);
  if (body.inputs.length !== state.length + 2)
    throw new RetortError("Internal", `Loop: the body takes ${body.inputs.length} inputs for ${state.length} states`);
  if (body.outputs.length !== types.length + 1)
    throw new RetortError("Internal", `Loop: the body gives ${body.outputs.length} outputs, not ${types.length + 1}`);
  const made = graph.node("Loop", [tripCount, condition, ...state], types, { body });
  return { state: made.slice(0, state.length), scanned: made.slice(state.length) };
}

/**
 * ONNX Scan: `body` takes one element of each sequence, along its first axis, and gives one of each result; one after the other, all in
 * their places at once. It keeps no state, and may read what is around it.
 *
 * @param sequences [K, …]: as many as the body has inputs
 * @returns the results, [K, …] each
 */
export function scan(graph: Graph, body: Graph, sequences: readonly Value[]): readonly Value[] {
  if (body.parent !== graph) throw new RetortError("Internal", `Scan: the body ${body.name} must be a child of ${graph.name}`);
  if (body.inputs.length !== sequences.length)
    throw new RetortError("Internal", `Scan: the body takes ${body.inputs.length} inputs for ${sequences.length} sequences`);
  const length = sequences[0]!.shape[0]!;
  const types = body.outputs.map(({ value: { dtype, shape } }) => ({ dtype, shape: [length, ...shape] }));
  return graph.node("Scan", sequences, types, { body, num_scan_inputs: sequences.length });
}

/** ONNX If: the outputs of one of two branch graphs, which take no inputs and see everything outside. */
export function ifElse(condition: Value, thenBranch: Graph, elseBranch: Graph, outputs: readonly OutputType[]): readonly Value[] {
  const graph = thenBranch.parent ?? graphOf(condition);
  return graph.node("If", [condition], outputs, { then_branch: thenBranch, else_branch: elseBranch });
}

/**
 * ONNX If, its branches written as functions: each gets what it reads as values of its own graph, so that what it computes
 * of them is computed only where it is taken. Both give as many values, of the types `outputs`.
 *
 * @param condition where it is known already, what it says is written in the place of If
 */
export function choose(
  condition: Value | boolean,
  reads: readonly Value[],
  then: (...reads: Value[]) => readonly Value[],
  otherwise: (...reads: Value[]) => readonly Value[],
  outputs: readonly OutputType[],
): readonly Value[] {
  if (typeof condition === "boolean") return (condition ? then : otherwise)(...reads);
  const parent = graphOf(condition, ...reads);
  const branch = (name: string, make: (...reads: Value[]) => readonly Value[]): Graph => {
    const graph = new Graph(parent.fresh(name), parent);
    const made = make(...reads.map((x) => new Value(graph, x.name, x.dtype, x.shape, x.producer)));
    for (const [i, value] of made.entries()) graph.output(graph.fresh(`${name}.${i}`), value);
    return graph;
  };
  return ifElse(condition, branch("then", then), branch("else", otherwise), outputs);
}
