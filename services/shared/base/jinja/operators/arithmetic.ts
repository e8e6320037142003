import { checkSize, handle, handleSize, spend } from "../budget.js";
import { raise } from "../fault.js";
import { formatPercent } from "../formats/format-percent.js";
import { Tuple } from "../values/containers.js";
import { escapeHtml, Markup } from "../values/markup.js";
import { type Numeric, numeric, toFloat } from "../values/numbers.js";
import { str } from "../values/repr.js";
import { isUndefined } from "../values/undefined.js";
import { typeName, type Value } from "../values/value.js";
import { ofFloats, ofInts } from "./numbers.js";

/** One of Python's binary operators: + - * / // % ** */
export function binary(operator: string, left: Value, right: Value): Value {
  if (operator === "%" && typeof left === "string") return handle(formatPercent(handle(left), right));
  for (const side of [left, right]) if (isUndefined(side)) side.fail();
  if (operator === "%" && left instanceof Markup) return raise("Unimplemented", "% of a text that is marked safe is not supported here");
  const [a, b] = [numeric(left), numeric(right)];
  if (a !== undefined && b !== undefined) {
    const result = typeof a === "bigint" && typeof b === "bigint" ? ofInts(operator, a, b) : ofFloats(operator, toFloat(a), toFloat(b));
    if (result !== undefined) return result;
  }
  const result = operator === "+" ? joined(left, right) : operator === "*" ? repeated(left, right, a, b) : undefined;
  if (result !== undefined) return handle(result);
  return raise("TypeError", `unsupported operand type(s) for ${operator}: '${typeName(left)}' and '${typeName(right)}'`);
}

function joined(left: Value, right: Value): Value | undefined {
  if (typeof left === "string" && typeof right === "string") {
    checkSize(left.length + right.length);
    return left + right;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    spend(left.length + right.length);
    return [...left, ...right];
  }
  if (left instanceof Tuple && right instanceof Tuple) spend(left.items.length + right.items.length);
  if (left instanceof Tuple && right instanceof Tuple) return new Tuple([...left.items, ...right.items]);
  const isText = (value: Value) => typeof value === "string" || value instanceof Markup;
  if (!(left instanceof Markup || right instanceof Markup) || !isText(left) || !isText(right)) return undefined;
  const safe = (value: Value) => (value instanceof Markup ? value.text : escapeHtml(str(value)));
  return new Markup(safe(left) + safe(right));
}

function repeated(left: Value, right: Value, a: Numeric | undefined, b: Numeric | undefined): Value | undefined {
  const times = typeof b === "bigint" ? b : a;
  const what = typeof b === "bigint" ? left : right;
  if (typeof times !== "bigint") return undefined;
  const isSequence = typeof what === "string" || Array.isArray(what) || what instanceof Tuple || what instanceof Markup;
  if (isSequence && BigInt.asIntN(64, times) !== times) raise("OverflowError", "cannot fit 'int' into an index-sized integer");
  const size =
    typeof what === "string"
      ? what.length
      : what instanceof Markup
        ? what.text.length
        : Array.isArray(what)
          ? what.length
          : what instanceof Tuple
            ? what.items.length
            : 0;
  const count = times > 0n ? Number(times) : 0;
  handleSize(size * count);
  if (Array.isArray(what) || what instanceof Tuple) spend(size * count);
  if (typeof what === "string") return what.repeat(size === 0 ? 0 : count);
  if (what instanceof Markup) return new Markup(what.text.repeat(size === 0 ? 0 : count));
  const items = (part: readonly Value[]) => Array.from({ length: size === 0 ? 0 : count }, () => part).flat();
  if (Array.isArray(what)) return items(what);
  return what instanceof Tuple ? new Tuple(items(what.items)) : undefined;
}

/** Python's unary - and +. */
export function unary(operator: "-" | "+", value: Value): Value {
  if (isUndefined(value)) value.fail();
  const number = numeric(value);
  if (number === undefined) return raise("TypeError", `bad operand type for unary ${operator}: '${typeName(value)}'`);
  return operator === "-" ? -number : number;
}
