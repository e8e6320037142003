/** A float in decimal digits, rounded as Python rounds: from its exact value, halves to even. */

const view = new DataView(new ArrayBuffer(8));

/** A finite float's size as numerator over a power of two. */
export function exact(value: number): { readonly numerator: bigint; readonly denominator: bigint } {
  view.setFloat64(0, Math.abs(value));
  const word = view.getBigUint64(0);
  const exponent = Number(word >> 52n);
  const mantissa = word & 0xfffffffffffffn;
  const power = (exponent === 0 ? 1 : exponent) - 1075;
  const numerator = exponent === 0 ? mantissa : mantissa | (1n << 52n);
  return power >= 0 ? { numerator: numerator << BigInt(power), denominator: 1n } : { numerator, denominator: 1n << BigInt(-power) };
}

/** Numerator over denominator as whole number, halves to even. Both are not negative. */
export function roundHalfEven(numerator: bigint, denominator: bigint): bigint {
  const whole = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  return twice > denominator || (twice === denominator && whole % 2n === 1n) ? whole + 1n : whole;
}

/** The size of a float times 10^places, rounded. */
function scaled(value: number, places: number): bigint {
  const { numerator, denominator } = exact(value);
  return places >= 0
    ? roundHalfEven(numerator * 10n ** BigInt(places), denominator)
    : roundHalfEven(numerator, denominator * 10n ** BigInt(-places));
}

/** Like '%.{places}f' of a finite float's size, without a sign. */
export function fixed(value: number, places: number): string {
  const digits = scaled(value, places)
    .toString()
    .padStart(places + 1, "0");
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** Digits and exponent of a finite float's size with places + 1 digits: d.ddd × 10^exponent. */
export function exponential(value: number, places: number): { readonly digits: string; readonly exponent: number } {
  if (value === 0) return { digits: "0".repeat(places + 1), exponent: 0 };
  let exponent = Number(Math.abs(value).toExponential().split("e")[1]);
  let digits = scaled(value, places - exponent).toString();
  if (digits.length < places + 1) {
    exponent--;
    digits = scaled(value, places - exponent).toString();
  } else if (digits.length > places + 1) {
    exponent++;
    digits = digits.slice(0, -1);
  }
  return { digits, exponent };
}

/** Python's round(value, places) of a float. */
export function roundFloat(value: number, places: number): number {
  if (!Number.isFinite(value) || places > 323) return value;
  if (places < -308) return value < 0 ? -0 : 0;
  const size = places > 0 ? Number(fixed(value, places)) : Number(scaled(value, places) * 10n ** BigInt(-places));
  return value < 0 || Object.is(value, -0) ? -size : size;
}

/** Python's round(value, places) of an int. */
export function roundInt(value: bigint, places: number): bigint {
  if (places >= 0) return value;
  // Beyond the digits of any int that there can be, 2^20 bits.
  if (places < -400_000) return 0n;
  const unit = 10n ** BigInt(-places);
  return roundHalfEven(value < 0n ? -value : value, unit) * unit * (value < 0n ? -1n : 1n);
}
