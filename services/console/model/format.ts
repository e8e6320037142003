const second = 1;
const minute = 60 * second;
const hour = 60 * minute;

/** A number for people: four significant digits, and an exponent where it is very small or large. `–` if there is none. */
export function number(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size < 1e-3 || size >= 1e7) return value.toExponential(2).replace("e+", "e").replaceAll("-", "−");
  if (Number.isInteger(value)) return grouped(value);
  const digits = Math.max(0, 3 - Math.floor(Math.log10(size)));
  return grouped(Number(value.toFixed(Math.min(digits, 4))), Math.min(digits, 4));
}

function grouped(value: number, digits = 0): string {
  const text = value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return text.replaceAll(",", " ").replace("-", "−");
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });

/** A count in few characters: `3 264`, `134.5M`. */
export const short = (count: number | bigint): string => (count < 100_000 ? number(Number(count)) : compact.format(count));

/** A number beside an axis: as short as it can be. `null` and undefined are nothing. */
export function tick(value: number | null | undefined): string {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential().replace("e+", "e").replaceAll("-", "−");
  return grouped(value, String(Number(value.toPrecision(8))).split(".")[1]?.length ?? 0);
}

/** Seconds in words: `4.2 s`, `3 min 20 s`, `2 h 05 min`. */
export function duration(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < minute) return `${whole} s`;
  if (whole < hour) return `${Math.floor(whole / minute)} min ${pad(whole % minute)} s`;
  return `${Math.floor(whole / hour)} h ${pad(Math.floor((whole % hour) / minute))} min`;
}

const pad = (value: number): string => String(value).padStart(2, "0");

/** A share in [0, 1] as per cent. */
export const percent = (share: number | undefined): string => (share === undefined ? "–" : `${(100 * share).toFixed(1)} %`);

/** A time as `2026-11-27 01:05:09 UTC`. @param ms since 1970 */
export const utc = (ms: number | undefined): string =>
  ms === undefined ? "–" : `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/** A token as it is shown: whitespace and control characters can be seen. */
export const visible = (token: string): string =>
  token
    .replaceAll(" ", "␣")
    .replaceAll("\n", "⏎")
    .replaceAll("\t", "⇥")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be seen
    .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)));
