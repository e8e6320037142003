import type { Graph, Value } from "../../graph/graph.js";
import * as op from "../../graph/ops/index.js";
import { float32, type Tensor } from "../../graph/tensor.js";
import type { ModelConfig } from "../config/model-config.js";
import type { RopeScaling, Rotary } from "../config/rope.js";

/** Cosines and sines [positions, dims/2] of a rotary embedding. */
export interface RotaryTables<T> {
  readonly cos: T;
  readonly sin: T;
}

/** A config for a graph whose positions stay below `room`: its rotary tables are no longer than that. */
export const withRoom = (config: ModelConfig, room: number): ModelConfig => ({
  ...config,
  maxPositions: Math.min(config.maxPositions, room),
});

/** The rotary embeddings of a model's layers, each once. */
function rotariesOf({ layerKinds }: ModelConfig): Rotary[] {
  const distinct = new Map(layerKinds.flatMap(({ rotary }) => (rotary ? [[JSON.stringify(rotary), rotary] as const] : [])));
  return [...distinct.values()];
}

/**
 * The row of the tables that leaves what it rotates as it is: that of position 0, or, where cosines are multiplied with
 * something, a row of its own behind the last position.
 */
export const stillRow = (config: ModelConfig): number =>
  rotariesOf(config).some(({ magnitude }) => magnitude !== 1) ? config.maxPositions : 0;

/** Cosine and sine tables of a rotary embedding (Su et al. 2021; scaling as transformers does it): a row for each position, and {@link stillRow}. */
export function rotaryTables(config: ModelConfig, rotary: Rotary): RotaryTables<Tensor<"float32">> {
  const half = rotary.dims / 2;
  const positions = config.maxPositions;
  const rows = Math.max(positions, stillRow(config) + 1);
  const cos = new Float32Array(rows * half).fill(1);
  const sin = new Float32Array(rows * half);
  for (const [i, frequency] of frequencies(rotary).entries()) {
    for (let position = 0; position < positions; position++) {
      // The peers compute angles in float32; a double here would differ from them at far positions.
      const angle = Math.fround(position * frequency);
      cos[position * half + i] = Math.cos(angle) * rotary.magnitude;
      sin[position * half + i] = Math.sin(angle) * rotary.magnitude;
    }
  }
  return { cos: float32(cos, [rows, half]), sin: float32(sin, [rows, half]) };
}

/** The tables as constants of a graph's root, which its loops read too. */
export function constantTables(graph: Graph, config: ModelConfig, rotary: Rotary): RotaryTables<Value> {
  if (graph.parent) return constantTables(graph.parent, config, rotary);
  const place = rotariesOf(config).findIndex((one) => JSON.stringify(one) === JSON.stringify(rotary));
  const suffix = place > 0 ? `.${place}` : "";
  const known = [`rotary.cos${suffix}`, `rotary.sin${suffix}`].map((name) => graph.initializers.get(name)?.value);
  if (known[0] && known[1]) return { cos: known[0], sin: known[1] };
  const { cos, sin } = rotaryTables(config, rotary);
  return { cos: graph.constantNamed(`rotary.cos${suffix}`, cos), sin: graph.constantNamed(`rotary.sin${suffix}`, sin) };
}

/**
 * The same tables, computed where they are used and as long as a length says: for a graph that stands alone and must
 * serve every position that the model has. Equal to {@link rotaryTables} up to the rounding of the runtime's cosine.
 *
 * @param length int64 []
 */
export function computedTables(rotary: Rotary, length: Value): RotaryTables<Value> {
  const { graph } = length;
  const half = rotary.dims / 2;
  const positions = op.iota(length, "table");
  const angles = op.mul(op.cast(op.unsqueeze(positions, [1]), "float32"), graph.constant(float32(frequencies(rotary), [1, half])));
  const shape = [{ dtype: "float32" as const, shape: angles.shape }];
  const of = (name: "Cos" | "Sin"): Value => {
    const [table] = graph.node(name, [angles], shape) as [Value];
    return rotary.magnitude === 1 ? table : op.mul(table, rotary.magnitude);
  };
  return { cos: of("Cos"), sin: of("Sin") };
}

/** Queries or keys [B, H, T, E], rotated. */
export const rotate = (x: Value, positions_BT: Value, { cos, sin }: RotaryTables<Value>, { dims, interleaved }: Rotary): Value =>
  op.rotaryEmbedding(x, positions_BT, cos, sin, { dims, interleaved });

/** Angle per position of each pair of channels, in float32. */
function frequencies({ theta, dims, scaling }: Rotary): Float32Array {
  const plain = Array.from({ length: dims / 2 }, (_, i) => theta ** (-i / (dims / 2)));
  return Float32Array.from(scaling ? plain.map((frequency, i) => scaledFrequency(frequency, i, dims, theta, scaling)) : plain);
}

function scaledFrequency(frequency: number, pair: number, dims: number, theta: number, scaling: RopeScaling): number {
  if (scaling.type === "linear") return frequency / scaling.factor;
  if (scaling.type === "longrope") return frequency / (scaling.factors[pair] ?? 1);
  if (scaling.type === "yarn") {
    const kept = 1 - yarnRamp(pair, dims, theta, scaling);
    return (frequency / scaling.factor) * (1 - kept) + frequency * kept;
  }
  const wavelength = (2 * Math.PI) / frequency;
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
  if (wavelength > originalMaxPositions / lowFreqFactor) return frequency / factor;
  const smooth = (originalMaxPositions / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}

/** YaRN (Peng et al. 2023): 0 for pairs that turn often within the original context, 1 for those that hardly turn, a ramp between. */
function yarnRamp(pair: number, dims: number, theta: number, scaling: Extract<RopeScaling, { type: "yarn" }>): number {
  const { betaFast, betaSlow, originalMaxPositions, truncate } = scaling;
  /** The pair that turns so many times. */
  const pairOf = (turns: number) => (dims * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [from, to] = truncate ? [Math.floor(pairOf(betaFast)), Math.ceil(pairOf(betaSlow))] : [pairOf(betaFast), pairOf(betaSlow)];
  const [low, high] = [Math.max(from, 0), Math.min(to, dims - 1)];
  return Math.min(1, Math.max(0, (pair - low) / (low === high ? 0.001 : high - low)));
}
