import { float32, type Tensor } from "../graph/tensor.js";
import type { ModelConfig, RopeScaling } from "./config.js";

/** Cosine and sine tables [positions, headDim/2] of the rotary embedding (Su et al. 2021; scaling as transformers does it). */
export function rotaryTables(config: ModelConfig, positions = config.maxPositions): { cos: Tensor<"float32">; sin: Tensor<"float32"> } {
  const half = config.headDim / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let i = 0; i < half; i++) {
    const frequency = scaled(config.ropeTheta ** (-i / half), config.ropeScaling);
    for (let position = 0; position < positions; position++) {
      // The peers compute angles in float32; a double here would differ from them at far positions.
      const angle = Math.fround(position * Math.fround(frequency));
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos: float32(cos, [positions, half]), sin: float32(sin, [positions, half]) };
}

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
