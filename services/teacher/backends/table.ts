import { deferred } from "../../shared/base/deferred.js";
import type { RetortError } from "../../shared/base/errors.js";
import type { BackendOptions, TeacherBackend, TeacherSource } from "./backend.js";
import { ensembleBackend } from "./ensemble.js";
import { onnxBackend } from "./onnx.js";
import { openaiBackend } from "./openai/backend.js";

/** Every kind of teacher, sorted by name. A new one is a file beside this, a line here, and what tells it in {@link kindOf}. */
export const backends = {
  ensemble: ensembleBackend,
  onnx: onnxBackend,
  openai: openaiBackend,
} as const satisfies Record<string, (options: BackendOptions) => TeacherBackend>;

/** Which kind of teacher is meant. */
const kindOf = ({ server, ensemble }: Pick<TeacherSource, "ensemble" | "server">): keyof typeof backends =>
  ensemble ? "ensemble" : server ? "openai" : "onnx";

/** A backend for every kind of teacher: that of a source is made when it is first asked for. */
export function anyBackend(options: BackendOptions): TeacherBackend {
  const made = new Map<keyof typeof backends, TeacherBackend>();
  const { promise: crashed, resolve: lose } = deferred<RetortError>();
  const backendOf = (source: Pick<TeacherSource, "ensemble" | "server">): TeacherBackend => {
    const kind = kindOf(source);
    const backend = made.get(kind) ?? backends[kind](options);
    if (!made.has(kind)) backend.crashed.then(lose);
    made.set(kind, backend);
    return backend;
  };
  return {
    crashed,
    describe: (source) => backendOf(source).describe(source),
    open: (source) => backendOf(source).open(source),
    close: async () => {
      await Promise.all([...made.values()].map((backend) => backend.close()));
    },
  };
}
