import type { Graph, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { float32, int64, type Tensor } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import type { RopeScaling } from "../config/rope.js";

/** Cosines and sines [positions, E/2] of the rotary embedding. */
export interface RotaryTables<T> {
  readonly cos: T;
  readonly sin: T;
}

/** A config for a graph whose positions stay below `room`: its rotary tables are no longer than that. */
export const withRoom = (config: ModelConfig, room: number): ModelConfig => ({
  ...config,
  maxPositions: Math.min(config.maxPositions, room),
});

/** Cosine and sine tables [positions, headDim/2] of the rotary embedding (Su et al. 2021; scaling as transformers does it). */
export function rotaryTables(config: ModelConfig, positions = config.maxPositions): RotaryTables<Tensor<"float32">> {
  const half = config.headDim / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (const [i, frequency] of frequencies(config).entries()) {
    for (let position = 0; position < positions; position++) {
      // The peers compute angles in float32; a double here would differ from them at far positions.
      const angle = Math.fround(position * frequency);
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos: float32(cos, [positions, half]), sin: float32(sin, [positions, half]) };
}

/** The tables as constants of a graph's root, which its loops read too. */
export function constantTables(graph: Graph, config: ModelConfig): RotaryTables<Value> {
  if (graph.parent) return constantTables(graph.parent, config);
  const { cos, sin } = rotaryTables(config);
  return { cos: graph.constantNamed("rotary.cos", cos), sin: graph.constantNamed("rotary.sin", sin) };
}

/**
 * The same tables, computed where they are used and as long as a length says: for a graph that stands alone and must
 * serve every position that the model has. Equal to {@link rotaryTables} up to the rounding of the runtime's cosine.
 *
 * @param length int64 []
 */
export function computedTables(config: ModelConfig, length: Value): RotaryTables<Value> {
  const { graph } = length;
  const half = config.headDim / 2;
  const positions = op.range(graph.constant(int64([0], [])), length, graph.constant(int64([1], [])), "table");
  const angles = op.mul(op.cast(op.unsqueeze(positions, [1]), "float32"), graph.constant(float32(frequencies(config), [1, half])));
  const shape = [{ dtype: "float32" as const, shape: angles.shape }];
  return { cos: graph.node("Cos", [angles], shape)[0]!, sin: graph.node("Sin", [angles], shape)[0]! };
}

/** Angle per position of each pair of channels, in float32. */
const frequencies = (config: ModelConfig): Float32Array =>
  Float32Array.from({ length: config.headDim / 2 }, (_, i) => scaled(config.ropeTheta ** (-i / (config.headDim / 2)), config.ropeScaling));

function scaled(frequency: number, scaling: RopeScaling | undefined): number {
  if (!scaling) return frequency;
  if (scaling.type === "linear") return frequency / scaling.factor;
  const wavelength = (2 * Math.PI) / frequency;
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
  if (wavelength > originalMaxPositions / lowFreqFactor) return frequency / factor;
  const smooth = (originalMaxPositions / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}
