import { handle } from "../budget.js";
import { raise } from "../fault.js";
import { hashKey } from "../values/hash.js";
import type { Keywords, Value } from "../values/value.js";
import type { Filter, Tools } from "./filter.js";
import { writingFilters } from "./json.js";
import { numberFilters } from "./numbers.js";
import { sequenceFilters } from "./sequences.js";
import { tests as plainTests, type Test } from "./tests.js";
import { textFilters } from "./texts.js";

/** Every filter by name. */
export const filters: ReadonlyMap<string, Filter> = new Map(
  Object.entries({ ...numberFilters, ...sequenceFilters, ...textFilters, ...writingFilters }),
);

/** Every test by name. */
export const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ...Object.entries(plainTests),
  ["filter", (value) => filters.has(hashKey(value) as string)],
  ["test", (value) => tests.has(hashKey(value) as string)],
]);

/** Applies a filter by its name; raises for a name that none has. */
export function applyFilter(name: string, value: Value, args: readonly Value[], keywords: Keywords): Value {
  const filter = filters.get(name) ?? raise("TemplateRuntimeError", `No filter named '${name}' found.`);
  handle(value);
  return handle(filter(value, args, keywords, tools));
}

/** Applies a test by its name; raises for a name that none has. */
export function applyTest(name: string, value: Value, args: readonly Value[], keywords: Keywords): boolean {
  const test = tests.get(name) ?? raise("TemplateRuntimeError", `No test named '${name}'.`);
  return test(handle(value), args, keywords);
}

const tools: Tools = { filter: applyFilter, test: applyTest };
