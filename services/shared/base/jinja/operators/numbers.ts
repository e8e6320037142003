import { raise, refuse } from "../fault.js";
import { exact } from "../formats/decimal.js";
import { toFloat } from "../values/numbers.js";
import type { Value } from "../values/value.js";

/** A binary operator of two ints; undefined if there is none of that name. */
export function ofInts(operator: string, a: bigint, b: bigint): Value | undefined {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return bounded(a, b, () => a * b);
    case "**":
      return power(a, b);
  }
  if (b === 0n) raise("ZeroDivisionError", operator === "/" ? "division by zero" : "integer division or modulo by zero");
  if (operator === "/") return quotient(a, b);
  const remainder = a % b;
  const isOtherSide = remainder !== 0n && remainder < 0n !== b < 0n;
  if (operator === "%") return isOtherSide ? remainder + b : remainder;
  return operator === "//" ? a / b - (isOtherSide ? 1n : 0n) : undefined;
}

function bits(value: bigint): number {
  return value.toString(16).length * 4;
}

function bounded(a: bigint, b: bigint, product: () => bigint): bigint {
  const isSmall = (value: bigint) => value < 2n ** 64n && value > -(2n ** 64n);
  if (!(isSmall(a) && isSmall(b)) && bits(a) + bits(b) > 2 ** 20) raise("MemoryError", "a whole number beyond the limit of 2^20 bits");
  return product();
}

function power(a: bigint, b: bigint): Value {
  if (b < 0n) {
    if (a === 0n) raise("ZeroDivisionError", "0.0 cannot be raised to a negative power");
    return floatPower(toFloat(a), toFloat(b));
  }
  if (bits(a) * Number(b) > 2 ** 20 && a !== 0n && a !== 1n && a !== -1n)
    raise("MemoryError", "a whole number beyond the limit of 2^20 bits");
  return a ** b;
}

/** Python's true division of ints, rounded once. */
function quotient(a: bigint, b: bigint): number {
  if (Number.isSafeInteger(Number(a)) && Number.isSafeInteger(Number(b))) return Number(a) / Number(b);
  const negative = a < 0n !== b < 0n;
  const [n, d] = [a < 0n ? -a : a, b < 0n ? -b : b];
  const shift = BigInt(Math.max(0, 66 - (n.toString(2).length - d.toString(2).length)));
  const whole = (n << shift) / d;
  const value = Number((n << shift) % d === 0n ? whole : whole | 1n) * 2 ** -Number(shift);
  if (!Number.isFinite(value)) raise("OverflowError", "integer division result too large for a float");
  return negative ? -value : value;
}

/** A binary operator of two floats; undefined if there is none of that name. */
export function ofFloats(operator: string, a: number, b: number): Value | undefined {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "**":
      return floatPower(a, b);
  }
  if (b === 0) raise("ZeroDivisionError", operator === "/" ? "float division by zero" : "float floor division by zero");
  if (operator === "/") return a / b;
  let modulo = a % b;
  let whole = (a - modulo) / b;
  if (modulo !== 0) {
    if (b < 0 !== modulo < 0) [modulo, whole] = [modulo + b, whole - 1];
  } else modulo = b < 0 ? -0 : 0;
  if (operator === "%") return modulo;
  if (whole === 0) return a / b < 0 || Object.is(a / b, -0) ? -0 : 0;
  const floor = Math.floor(whole);
  return whole - floor > 0.5 ? floor + 1 : floor;
}

function floatPower(a: number, b: number): number {
  if (a === 0 && b < 0) raise("ZeroDivisionError", "0.0 cannot be raised to a negative power");
  if (a < 0 && Number.isFinite(b) && !Number.isInteger(b))
    raise("Unimplemented", "a complex number (a root of a negative one) is not supported here");
  if (a === 1 || b === 0) return 1;
  const result = Number.isInteger(b)
    ? wholePower(a, b)
    : b === 0.5
      ? Math.sqrt(a)
      : Number.isFinite(b)
        ? refuse("a power with a fraction as exponent")
        : a ** b;
  if (!Number.isFinite(result) && Number.isFinite(a) && Number.isFinite(b)) raise("OverflowError", "(34, 'Numerical result out of range')");
  return result;
}

/** A power with a whole exponent, rounded once as C's pow does, where JavaScript's ** may be off by a digit. */
function wholePower(a: number, b: number): number {
  const rough = a ** b;
  if (!Number.isFinite(rough) || rough === 0 || Math.abs(b) > 400) return rough;
  const { numerator, denominator } = exact(a);
  const [top, bottom] = [numerator ** BigInt(Math.abs(b)), denominator ** BigInt(Math.abs(b))];
  const size = b > 0 ? quotient(top, bottom) : quotient(bottom, top);
  return a < 0 && b % 2 !== 0 ? -size : size;
}
