import type { JsonValue } from "@bufbuild/protobuf";

/** A field in which specs differ. */
export interface Difference {
  /** As in `phases[0].objective.divergence`. */
  readonly path: string;
  /** One per spec, as JSON; undefined where a spec doesn't have the field. */
  readonly values: readonly (string | undefined)[];
}

/** The fields in which specs differ, by path in the order in which they come. */
export function specDiff(specs: readonly JsonValue[]): Difference[] {
  const flat = specs.map((spec) => new Map(fields(spec, "")));
  const paths = new Set(flat.flatMap((map) => [...map.keys()]));
  return [...paths].map((path) => ({ path, values: flat.map((map) => map.get(path)) })).filter(({ values }) => new Set(values).size > 1);
}

function* fields(value: JsonValue, path: string): Generator<readonly [string, string]> {
  if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* fields(item, `${path}[${i}]`);
  else if (typeof value === "object" && value !== null)
    for (const [key, item] of Object.entries(value)) yield* fields(item, path ? `${path}.${key}` : key);
  else yield [path, JSON.stringify(value)];
}
