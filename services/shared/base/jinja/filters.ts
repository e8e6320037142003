import { TemplateFailure } from "./failure.js";
import type { Filter } from "./filter.js";
import { listFilters, partOf } from "./list-filters.js";
import { str } from "./spelling.js";
import { textFilters } from "./text-filters.js";
import { escaped, iterate, Markup, truth } from "./values.js";

const refused =
  (name: string): Filter =>
  () => {
    throw new TemplateFailure(`the filter ${name} is not supported in templates here`);
  };

const map: Filter = (value, { list, named }) => {
  // Nothing, of whatever type, has no items.
  const items = truth(value) ? iterate(value) : [];
  if (list.length === 0 && named.has("attribute")) {
    for (const name of named.keys())
      if (name !== "attribute" && name !== "default") throw new TemplateFailure(`Unexpected keyword argument '${name}'`);
    return items.map((item) => partOf(item, named.get("attribute"), named.get("default")));
  }
  if (list.length === 0) throw new TemplateFailure("map requires a filter argument");
  const name = String(list[0]);
  const filter = Object.hasOwn(filters, name) ? filters[name] : undefined;
  if (!filter) throw new TemplateFailure(`No filter named '${name}'.`);
  return items.map((item) => filter(item, { list: list.slice(1), named }));
};

const escapeHtml: Filter = (value) => (value instanceof Markup ? value : new Markup(escaped(str(value))));

/** The filters of Jinja2, and transformers' tojson. Those that are not written here are refused by name when they are met. */
export const filters: Readonly<Record<string, Filter>> = {
  ...listFilters,
  ...textFilters,
  e: escapeHtml,
  escape: escapeHtml,
  forceescape: (value) => new Markup(escaped(str(value))),
  map,
  safe: (value) => (value instanceof Markup ? value : new Markup(str(value))),
  ...Object.fromEntries(["pprint", "random", "urlize", "xmlattr"].map((name) => [name, refused(name)])),
};
