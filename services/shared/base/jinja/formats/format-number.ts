import { floatRepr } from "../values/repr.js";
import { exponential, fixed } from "./decimal.js";

/** How a float is written: `f`, `e`, `g` (also upper case), `%`, or "" as repr does. */
export interface FloatFormat {
  readonly type: string;
  readonly precision: number | undefined;
  /** `#`: the point and zeros stay. */
  readonly alternate: boolean;
}

/** The size of a float, without a sign. */
export function formatFloat(value: number, { type, precision, alternate }: FloatFormat): string {
  const kind = type.toLowerCase();
  let text: string;
  if (!Number.isFinite(value)) text = (Number.isNaN(value) ? "nan" : "inf") + (kind === "%" ? "%" : "");
  else if (kind === "%") text = `${point(fixed(value * 100, precision ?? 6), alternate)}%`;
  else if (kind === "f") text = point(fixed(value, precision ?? 6), alternate);
  else if (kind === "e") text = scientific(value, precision ?? 6, alternate);
  else if (kind === "g" || kind === "n") text = general(value, precision ?? 6, alternate, false);
  else text = precision === undefined ? floatRepr(Math.abs(value)) : general(value, precision, alternate, true);
  return "EFG".includes(type) && type !== "" ? text.toUpperCase() : text;
}

function point(text: string, alternate: boolean): string {
  return alternate && !text.includes(".") ? `${text}.` : text;
}

function scientific(value: number, places: number, alternate: boolean): string {
  const { digits, exponent } = exponential(value, places);
  return withExponent(point(places === 0 ? digits : `${digits[0]}.${digits.slice(1)}`, alternate), exponent);
}

function withExponent(mantissa: string, exponent: number): string {
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function general(value: number, precision: number, alternate: boolean, keepsFloat: boolean): string {
  const count = precision === 0 ? 1 : precision;
  const { digits, exponent } = exponential(value, count - 1);
  if (exponent < -4 || exponent >= count - (keepsFloat ? 1 : 0)) {
    const mantissa = count === 1 ? digits : `${digits[0]}.${digits.slice(1)}`;
    return withExponent(alternate ? point(mantissa, true) : trimmed(mantissa), exponent);
  }
  const text = fixed(value, Math.max(0, count - 1 - exponent));
  if (alternate) return point(text, true);
  const short = trimmed(text);
  return keepsFloat && !short.includes(".") ? `${short}.0` : short;
}

function trimmed(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** Digits in groups of three (four for other bases) with a mark between. */
export function grouped(digits: string, mark: string, size: number): string {
  return mark === "" ? digits : digits.replace(new RegExp(`\\B(?=(?:[0-9a-fA-F]{${size}})+$)`, "g"), mark);
}
