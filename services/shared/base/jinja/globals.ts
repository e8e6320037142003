import { bind } from "./arguments.js";
import { TemplateFailure } from "./failure.js";
import { type Arguments, Attributes, Callable, iterate, keyOf, toInteger } from "./values.js";

/** Most numbers of one range(), as Jinja2's sandbox has it. */
const longestRange = 100_000;

function range({ list, named }: Arguments): unknown {
  if (named.size) throw new TemplateFailure("range() takes no keyword arguments");
  if (list.length < 1 || list.length > 3) throw new TemplateFailure(`range expected 1 to 3 arguments, got ${list.length}`);
  const [first, second, third] = list.map((value) => toInteger(value, "a range's bound"));
  const [from, to] = second === undefined ? [0, first!] : [first!, second];
  const step = third ?? 1;
  if (step === 0) throw new TemplateFailure("range() arg 3 must not be zero");
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (length > longestRange) throw new TemplateFailure(`Range too big. The sandbox blocks ranges larger than MAX_RANGE (${longestRange}).`);
  return Array.from({ length }, (_, i) => BigInt(from + i * step));
}

function dict({ list, named }: Arguments): unknown {
  const [source] = list;
  const pairs =
    source instanceof Map
      ? [...source]
      : source === undefined
        ? []
        : iterate(source).map((pair) => {
            const [key, value] = iterate(pair);
            return [keyOf(key), value] as [unknown, unknown];
          });
  return new Map<unknown, unknown>([...pairs, ...named]);
}

function namespace(args: Arguments): unknown {
  return new Attributes("Namespace", dict(args) as Map<string, unknown>);
}

function cycler({ list }: Arguments): unknown {
  if (list.length === 0) throw new TemplateFailure("at least one item has to be provided");
  let at = 0;
  const values = new Map<string, unknown>();
  const show = () => values.set("current", list[at % list.length]);
  show();
  const next = () => {
    const value = list[at++ % list.length];
    show();
    return value;
  };
  const reset = () => {
    at = 0;
    show();
    return null;
  };
  values.set("next", new Callable("next", next)).set("reset", new Callable("reset", reset));
  return new Attributes("Cycler", values);
}

function joiner(args: Arguments): unknown {
  const { sep = ", " } = bind("joiner", args, ["sep"]);
  let used = false;
  return new Callable("joiner", () => {
    if (used) return sep;
    used = true;
    return "";
  });
}

const refused = (name: string) => (): never => {
  throw new TemplateFailure(`the function ${name} is not supported in templates here`);
};

/** What every template can call. */
export const globals: ReadonlyMap<string, Callable> = new Map(
  Object.entries({ cycler, dict, joiner, lipsum: refused("lipsum"), namespace, range }).map(([name, call]) => [
    name,
    new Callable(name, call),
  ]),
);
