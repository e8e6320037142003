// Python's two ways to format text: "%s" % values and "{}".format(values).
import { TemplateFailure } from "./failure.js";
import { floatText, repr, str } from "./spelling.js";
import { isNumber, Tuple, typeName, Undefined, unbool } from "./values.js";

/** Python's `format % value`. @throws TemplateFailure for a conversion that is not there or does not fit its value */
export function formatPercent(format: string, given: unknown): string {
  if (given instanceof Undefined) given.fail();
  const values = given instanceof Tuple ? [...given] : [given];
  let next = 0;
  const take = () => {
    if (next >= values.length) throw new TemplateFailure("not enough arguments for format string");
    return values[next++];
  };
  const text = format.replace(
    /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?[hlL]?(.|$)/gs,
    (_, key, flags, width, precision, conversion) => {
      if (conversion === "%") return "%";
      if (width === "*" || precision === "*") throw new TemplateFailure("a width of * is not supported in format strings");
      const value = key === undefined ? take() : keyed(given, key);
      return padded(
        converted(conversion, value, flags, precision === undefined ? undefined : Number(precision)),
        flags,
        Number(width ?? 0),
      );
    },
  );
  if (next < values.length && !(given instanceof Map)) throw new TemplateFailure("not all arguments converted during string formatting");
  return text;
}

function keyed(given: unknown, key: string): unknown {
  if (!(given instanceof Map)) throw new TemplateFailure("format requires a mapping");
  if (!given.has(key)) throw new TemplateFailure(`'${key}'`);
  return given.get(key);
}

function converted(conversion: string, value: unknown, flags: string, precision: number | undefined): string {
  if (conversion === "s") return str(value).slice(0, precision);
  if (conversion === "r") return repr(value).slice(0, precision);
  if (!/[diufFeEgGxXo]/.test(conversion)) throw new TemplateFailure(`unsupported format character '${conversion}'`);
  if (!isNumber(value)) throw new TemplateFailure(`%${conversion} format: a real number is required, not ${typeName(value)}`);
  return numberText(unbool(value), conversion, flags, precision);
}

function numberText(value: bigint | number, conversion: string, flags: string, precision: number | undefined): string {
  const sign = (text: string) => (text.startsWith("-") ? text : flags.includes("+") ? `+${text}` : flags.includes(" ") ? ` ${text}` : text);
  if (/[diu]/.test(conversion)) {
    const whole = typeof value === "bigint" ? value : BigInt(Math.trunc(value));
    const digits = String(whole < 0n ? -whole : whole).padStart(precision ?? 0, "0");
    return sign(whole < 0n ? `-${digits}` : digits);
  }
  if (/[xXo]/.test(conversion)) {
    if (typeof value === "number") throw new TemplateFailure(`%${conversion} format: an integer is required, not float`);
    const text = value.toString(conversion === "o" ? 8 : 16);
    return sign(conversion === "X" ? text.toUpperCase() : text);
  }
  return sign(floatFormat(Number(value), conversion, precision ?? 6));
}

/** A float in the forms e, f and g. */
function floatFormat(value: number, conversion: string, precision: number): string {
  if (!Number.isFinite(value)) return floatText(value);
  const lower = conversion.toLowerCase();
  const pad = (text: string) => text.replace(/e([+-])(\d)$/, "e$10$2");
  let text: string;
  if (lower === "f") text = fixed(value, precision);
  else if (lower === "e") text = pad(value.toExponential(precision));
  else {
    const digits = precision || 1;
    const exponent = value === 0 ? 0 : Number(value.toExponential(digits - 1).split("e")[1]);
    text = exponent < -4 || exponent >= digits ? pad(value.toExponential(digits - 1)) : fixed(value, digits - 1 - exponent);
    if (text.includes(".")) text = text.replace(/\.?0+(e|$)/, "$1");
  }
  return lower === conversion ? text : text.toUpperCase();
}

/** Digits of a float behind its point, rounded as its exact value is: ties go to the even digit, as in Python. */
export function fixed(value: number, digits: number): string {
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}${digits ? `.${"0".repeat(digits)}` : ""}`;
  // toFixed takes the larger of two nearest; an exact tie is possible with few binary digits alone.
  const text = value.toFixed(Math.min(100, digits));
  const scaled = Math.abs(value) * 10 ** digits;
  const isTie = digits < 22 && scaled % 1 === 0.5 && Number(`${scaled}e-${digits}`) === Math.abs(value);
  if (!isTie || Math.floor(scaled) % 2 === 1) return text;
  return (Math.sign(value) * (Math.floor(scaled) / 10 ** digits)).toFixed(digits);
}

function padded(text: string, flags: string, width: number): string {
  const missing = width - [...text].length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (flags.includes("0") && /^[-+ ]?\d/.test(text)) return text.replace(/^[-+ ]?/, (sign) => sign + "0".repeat(missing));
  return " ".repeat(missing) + text;
}

/** Python's str.format(), with positions, names, conversions and the common specs. @throws TemplateFailure for others */
export function formatBraces(format: string, list: readonly unknown[], named: ReadonlyMap<string, unknown>): string {
  let next = 0;
  return format.replace(/\{\{|\}\}|\{([^{}]*)\}|[{}]/g, (whole, field: string | undefined) => {
    if (whole === "{{" || whole === "}}") return whole[0]!;
    if (field === undefined) throw new TemplateFailure("Single brace encountered in format string");
    const found = /^([^!:.[]*)([^!:]*)(?:!([rs]))?(?::(.*))?$/s.exec(field);
    if (!found || found[2]) throw new TemplateFailure(`the replacement field {${field}} is not supported`);
    const [, name, , conversion, spec = ""] = found as unknown as [string, string, string, string | undefined, string | undefined];
    const index = name === "" ? next++ : /^\d+$/.test(name) ? Number(name) : undefined;
    if (index !== undefined && index >= list.length) throw new TemplateFailure("Replacement index out of range for positional args tuple");
    if (index === undefined && !named.has(name)) throw new TemplateFailure(`'${name}'`);
    const value = index === undefined ? named.get(name) : list[index];
    const text = conversion === "r" ? repr(value) : conversion === "s" ? str(value) : value;
    return formatSpec(text, spec);
  });
}

function formatSpec(value: unknown, spec: string): string {
  const found = /^(?:(.)?([<>^=]))?([-+ ])?(0)?(\d+)?(,)?(?:\.(\d+))?([sdfFeEgGxXo%])?$/su.exec(spec);
  if (!found) throw new TemplateFailure(`the format ${JSON.stringify(spec)} is not supported`);
  const [, fill = found[4] ?? " ", align, sign = "", zero, width = "0", comma, precision, type] = found;
  const digits = precision === undefined ? undefined : Number(precision);
  let text: string;
  if (isNumber(value) && (typeof value !== "boolean" || type)) {
    const number = unbool(value);
    if (type === "s" || (digits !== undefined && !type && typeof number === "bigint"))
      throw new TemplateFailure(`the format ${JSON.stringify(spec)} does not fit an ${typeName(value)}`);
    if (type === "%") text = `${fixed(Number(number) * 100, digits ?? 6)}%`;
    else if (type || digits !== undefined) text = numberText(number, type ?? "g", sign, digits);
    else text = sign === "+" && number >= 0 ? `+${str(number)}` : str(number);
    if (comma) text = text.replace(/\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
  } else {
    if ((type && type !== "s") || sign || comma || zero)
      throw new TemplateFailure(`the format ${JSON.stringify(spec)} does not fit a ${typeName(value)}`);
    text = [...str(value)].slice(0, digits).join("");
  }
  const missing = Number(width) - [...text].length;
  if (missing <= 0) return text;
  const side = align ?? (zero ? "=" : isNumber(value) ? ">" : "<");
  if (side === "=") return text.replace(/^[-+]?/, (first) => first + fill.repeat(missing));
  const before = side === ">" ? missing : side === "^" ? missing >> 1 : 0;
  return fill.repeat(before) + text + fill.repeat(missing - before);
}
