import { RetortError } from "../../base/errors.js";
import { found } from "../../base/found.js";
import type { Tensor } from "../graph/tensor.js";

/** What a run of a session returned, by the names of the graph's outputs. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** An output of a graph that has it. @throws Internal naming one that is missing */
export const outputOf = (outputs: Outputs, name: string): Tensor => found(outputs[name], `the graph's output ${name}`);

/** An output's elements, as the array that its graph is known to give. @throws Internal if it is missing, or of another type */
export function outputData<T extends Tensor["data"]>(outputs: Outputs, name: string, type: new (length: number) => T): T {
  const { data, dtype } = outputOf(outputs, name);
  if (data instanceof type) return data;
  throw new RetortError("Internal", `the graph's output ${name} is ${dtype}, no ${type.name}`);
}

/** A float32 output. @throws Internal as {@link outputData} */
export const floatsOf = (outputs: Outputs, name: string): Float32Array => outputData(outputs, name, Float32Array);

/** A float32 output of one number. @throws Internal as {@link outputData} */
export const scalarOf = (outputs: Outputs, name: string): number => found(floatsOf(outputs, name)[0], `the number in ${name}`);
