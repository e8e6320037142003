import type { BackendOptions, TeacherBackend } from "./backend.js";
import { onnxBackend } from "./onnx.js";

/** Every kind of teacher, sorted by name. A new one is a file beside this and a line here. */
export const backends = {
  onnx: onnxBackend,
} as const satisfies Record<string, (options: BackendOptions) => TeacherBackend>;
