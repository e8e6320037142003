import type { Tensor } from "../../../services/shared/ml/graph/tensor.js";
import { headOf } from "../../../services/shared/ml/models/safetensors/head.js";

/** The parts of a safetensors file of float32 tensors, sorted by name. */
export function encodeSafetensors(tensors: ReadonlyMap<string, Tensor<"float32">>): Uint8Array[] {
  const sorted = [...tensors].sort(([a], [b]) => (a < b ? -1 : 1));
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let offset = 0;
  for (const [name, { dims, data }] of sorted) {
    header[name] = { dtype: "F32", shape: dims, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  return [headOf(header), ...sorted.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))];
}
