import { readFileSync } from "node:fs";
import koffi from "../../../services/shared/base/foreign.js";

const library = koffi.load(null);

/** The C library's own. */
export const allocate = library.func("void *malloc(size_t bytes)");
export const fill = library.func("void *memset(void *memory, int value, size_t bytes)");
export const free = library.func("void free(void *memory)");

/** What this process holds of its own, in MiB (Linux). */
export const heldMb = (): number => Number(/RssAnon:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) / 1024;

const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string }; sharedObjects: string[] };

/** The version of glibc that this process runs with; undefined with another C library. */
export const glibc = report.header.glibcVersionRuntime;

/** The libraries that this process has loaded. */
export const libraries: readonly string[] = report.sharedObjects;
