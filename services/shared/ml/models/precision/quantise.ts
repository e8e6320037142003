// Dimensions: N outputs, K inputs, C blocks of a row, L elements of a block.
import type { QuantisedMatrix } from "../../graph/file-tensor.js";
import { transposed } from "../../graph/tensor.js";
import type { WeightsFile } from "../../graph/weights-file.js";
import { float32Pieces, inMemory, pieceElements, type Weight } from "../constants.js";
import type { LinearLayout } from "../param-spec.js";

/** Elements that share a scale: the more, the less memory; fewer where a row doesn't divide by that. */
const blockSizes = [128, 64, 32];

/** What stands for 0. */
const zeroPoint = 128;

/**
 * A linear's weight in 8 bits, symmetric by blocks along the inputs: q = round(w / scale) + 128 with scale = max|w| / 127
 * of the block. Written to a file row by row; nothing of it is kept.
 */
export function quantised(weight: Weight, layout: LinearLayout, file: WeightsFile): QuantisedMatrix {
  const [rows, columns] = weight.dims as [number, number];
  const [N, K] = layout === "outIn" ? [rows, columns] : [columns, rows];
  const L = blockSizes.find((size) => K % size === 0) ?? 32;
  const C = Math.ceil(K / L);
  const scales = new Float32Array(N * C);
  let row = 0;
  function* encoded(): Generator<Uint8Array> {
    for (const piece of rowPieces(weight, layout, K)) {
      const count = piece.length / K;
      const values = new Uint8Array(count * C * L).fill(zeroPoint);
      for (let r = 0; r < count; r++, row++)
        for (let c = 0; c < C; c++)
          scales[row * C + c] = encodeBlock(piece, r * K + c * L, Math.min(L, K - c * L), values, (r * C + c) * L);
      yield values;
    }
  }
  const values = file.append("uint8", [N, C, L], encoded());
  return {
    ...{ transB: layout === "outIn", outputs: N, inputs: K, blockSize: L, values },
    scales: file.append("float32", [N * C], [new Uint8Array(scales.buffer)]),
  };
}

/** Whole rows [.., K] of the weight as [N, K]. */
function* rowPieces(weight: Weight, layout: LinearLayout, K: number): Generator<Float32Array> {
  if (layout === "inOut") yield transposed(inMemory(weight)).data;
  else if (K > pieceElements) yield inMemory(weight).data;
  else yield* float32Pieces(weight, Math.floor(pieceElements / K) * K);
}

/** Writes a block, and gives its scale. */
function encodeBlock(from: Float32Array, at: number, length: number, into: Uint8Array, to: number): number {
  let largest = 0;
  for (let i = at; i < at + length; i++) {
    const x = from[i] as number;
    const size = x < 0 ? -x : x;
    if (size > largest) largest = size;
  }
  const scale = Math.fround(largest / 127);
  if (scale === 0) return 0;
  // Above 0, so that cutting off the fraction rounds.
  for (let i = 0; i < length; i++) into[to + i] = ((from[at + i] as number) / scale + zeroPoint + 0.5) | 0;
  return scale;
}
