/** Days and months as the C locale has them. */
const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

const dayMs = 24 * 60 * 60 * 1000;

/** The parts of a time in the process's own time zone. */
interface Parts {
  readonly date: Date;
  readonly year: number;
  /** From 0. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  /** From 0, Sunday. */
  readonly weekday: number;
  /** From 1. */
  readonly yearDay: number;
}

function partsOf(date: Date): Parts {
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  const yearDay = Math.round((Date.UTC(year, month, day) - Date.UTC(year, 0, 1)) / dayMs) + 1;
  return { date, year, month, day, hour: date.getHours(), weekday: date.getDay(), yearDay };
}

/** Year and week of ISO 8601: weeks begin on Monday, the first one has the year's first Thursday. */
function isoWeek({ year, month, day, weekday }: Parts): { readonly year: number; readonly week: number } {
  const thursday = new Date(Date.UTC(year, month, day + 4 - (weekday || 7)));
  const first = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  return { year: thursday.getUTCFullYear(), week: Math.floor((thursday.getTime() - first) / dayMs / 7) + 1 };
}

/** A number and how it is filled up, unless a flag says otherwise. */
type Field = readonly [value: number, width: number, fill?: string];

const hour12 = ({ hour }: Parts): number => hour % 12 || 12;

const numbers: Readonly<Record<string, (parts: Parts) => Field>> = {
  C: ({ year }) => [Math.floor(year / 100), 2],
  G: (parts) => [isoWeek(parts).year, 4],
  H: ({ hour }) => [hour, 2],
  I: (parts) => [hour12(parts), 2],
  M: ({ date }) => [date.getMinutes(), 2],
  S: ({ date }) => [date.getSeconds(), 2],
  U: ({ yearDay, weekday }) => [Math.floor((yearDay + 6 - weekday) / 7), 2],
  V: (parts) => [isoWeek(parts).week, 2],
  W: ({ yearDay, weekday }) => [Math.floor((yearDay + 6 - ((weekday + 6) % 7)) / 7), 2],
  Y: ({ year }) => [year, 1],
  d: ({ day }) => [day, 2],
  e: ({ day }) => [day, 2, " "],
  f: ({ date }) => [date.getMilliseconds() * 1000, 6],
  g: (parts) => [isoWeek(parts).year % 100, 2],
  j: ({ yearDay }) => [yearDay, 3],
  k: ({ hour }) => [hour, 2, " "],
  l: (parts) => [hour12(parts), 2, " "],
  m: ({ month }) => [month + 1, 2],
  s: ({ date }) => [Math.floor(date.getTime() / 1000), 1],
  u: ({ weekday }) => [weekday || 7, 1],
  w: ({ weekday }) => [weekday, 1],
  y: ({ year }) => [year % 100, 2],
};

const words: Readonly<Record<string, (parts: Parts) => string>> = {
  "%": () => "%",
  A: ({ weekday }) => days[weekday]!,
  B: ({ month }) => months[month]!,
  // A datetime that no time zone was given to has none to print.
  Z: () => "",
  a: ({ weekday }) => days[weekday]!.slice(0, 3),
  b: ({ month }) => months[month]!.slice(0, 3),
  h: ({ month }) => months[month]!.slice(0, 3),
  n: () => "\n",
  p: ({ hour }) => (hour < 12 ? "AM" : "PM"),
  P: ({ hour }) => (hour < 12 ? "am" : "pm"),
  t: () => "\t",
  z: () => "",
};

const composed: Readonly<Record<string, string>> = {
  D: "%m/%d/%y",
  F: "%Y-%m-%d",
  R: "%H:%M",
  T: "%H:%M:%S",
  X: "%H:%M:%S",
  c: "%a %b %e %H:%M:%S %Y",
  r: "%I:%M:%S %p",
  x: "%m/%d/%y",
};

/**
 * A time in words, as Python's datetime.now().strftime() writes it in the C locale of a Linux system, in the process's own
 * time zone. A directive that does not exist stays as it is.
 */
export function strftime(date: Date, format: string): string {
  const parts = partsOf(date);
  return format.replace(/%([-_0^#]?)(\d*)([EO]?)(.)/gsu, (whole, flag: string, width: string, _modifier, directive: string) => {
    const written = write(parts, directive, flag, width);
    if (written === undefined) return whole;
    return flag === "^" && directive !== "P" ? written.toUpperCase() : flag === "#" ? swapped(written, directive) : written;
  });
}

const swapped = (text: string, directive: string): string =>
  directive === "p" || directive === "Z" ? text.toLowerCase() : text.toUpperCase();

function write(parts: Parts, directive: string, flag: string, width: string): string | undefined {
  const number = Object.hasOwn(numbers, directive) ? numbers[directive] : undefined;
  if (number) {
    const [value, digits, fill = "0"] = number(parts);
    const filled = flag === "_" ? " " : flag === "0" ? "0" : fill;
    return flag === "-" ? String(value) : String(value).padStart(Number(width || digits), filled);
  }
  const word = Object.hasOwn(words, directive) ? words[directive] : undefined;
  if (word) return word(parts).padStart(Number(width || 0), flag === "0" ? "0" : " ");
  const longer = Object.hasOwn(composed, directive) ? composed[directive] : undefined;
  return longer && strftime(parts.date, longer);
}
