import type { Dialect } from "./dialect.js";
import { echo } from "./echo.js";
import { sglang } from "./sglang.js";
import { vllm } from "./vllm.js";

/** How servers may be asked, sorted by name. A new one is a file beside this, a line here and one of ServerSpec.dialect. */
export const dialects = { echo, sglang, vllm } as const satisfies Readonly<Record<string, Dialect>>;

/** The names of {@link dialects}. */
export type DialectName = keyof typeof dialects;

/** In which order a server that is not known is tried: what says most first. */
export const tried: readonly DialectName[] = ["vllm", "sglang", "echo"];
