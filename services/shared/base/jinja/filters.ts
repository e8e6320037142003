import { TemplateFailure } from "./failure.js";
import { listFilters } from "./list-filters.js";
import { textFilters } from "./text-filters.js";
import type { Arguments } from "./values.js";

/** What stands behind `|`: a value, and what the filter is called with. */
export type Filter = (value: unknown, args: Arguments) => unknown;

const refused =
  (name: string): Filter =>
  () => {
    throw new TemplateFailure(`the filter ${name} is not supported in templates here`);
  };

/** The filters of Jinja2, and transformers' tojson. Those that are not written here are refused by name when they are met. */
export const filters: Readonly<Record<string, Filter>> = {
  ...listFilters,
  ...textFilters,
  ...Object.fromEntries(
    ["e", "escape", "forceescape", "pprint", "random", "safe", "urlize", "xmlattr"].map((name) => [name, refused(name)]),
  ),
};
