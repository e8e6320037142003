import { handleSize } from "./budget.js";

/** C's strftime with the C locale, as Python's datetime.now().strftime() has it: a local time that knows no zone. */

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

interface Moment {
  readonly date: Date;
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly weekday: number;
  /** From 0. */
  readonly yearDay: number;
}

/** A number with its width and what fills it, or a text. */
type Part = string | readonly [value: number, width: number, fill: "0" | " "];

type Directive = (moment: Moment) => Part;

const clockHour = ({ hour }: Moment) => ((hour + 11) % 12) + 1;
const two = (value: number): Part => [value, 2, "0"];

const directives: Readonly<Record<string, Directive>> = {
  A: ({ weekday }) => days[weekday]!,
  B: ({ month }) => months[month]!,
  C: ({ year }) => two(Math.floor(year / 100)),
  D: (moment) => formatted(moment, "%m/%d/%y"),
  F: (moment) => formatted(moment, "%Y-%m-%d"),
  G: (moment) => [isoWeek(moment).year, 1, "0"],
  H: ({ hour }) => two(hour),
  I: (moment) => two(clockHour(moment)),
  M: ({ minute }) => two(minute),
  P: ({ hour }) => (hour < 12 ? "am" : "pm"),
  R: (moment) => formatted(moment, "%H:%M"),
  S: ({ second }) => two(second),
  T: (moment) => formatted(moment, "%H:%M:%S"),
  U: ({ yearDay, weekday }) => two(Math.floor((yearDay + 7 - weekday) / 7)),
  V: (moment) => two(isoWeek(moment).week),
  W: ({ yearDay, weekday }) => two(Math.floor((yearDay + 7 - ((weekday + 6) % 7)) / 7)),
  X: (moment) => formatted(moment, "%H:%M:%S"),
  Y: ({ year }) => [year, 1, "0"],
  Z: () => "",
  a: ({ weekday }) => days[weekday]!.slice(0, 3),
  b: ({ month }) => months[month]!.slice(0, 3),
  c: (moment) => formatted(moment, "%a %b %e %H:%M:%S %Y"),
  d: ({ day }) => two(day),
  e: ({ day }) => [day, 2, " "],
  f: ({ date }) => [date.getMilliseconds() * 1000, 6, "0"],
  g: (moment) => two(isoWeek(moment).year % 100),
  h: ({ month }) => months[month]!.slice(0, 3),
  j: ({ yearDay }) => [yearDay + 1, 3, "0"],
  k: ({ hour }) => [hour, 2, " "],
  l: (moment) => [clockHour(moment), 2, " "],
  m: ({ month }) => two(month + 1),
  n: () => "\n",
  p: ({ hour }) => (hour < 12 ? "AM" : "PM"),
  r: (moment) => formatted(moment, "%I:%M:%S %p"),
  s: ({ date }) => [Math.floor(date.getTime() / 1000), 1, "0"],
  t: () => "\t",
  u: ({ weekday }) => [weekday === 0 ? 7 : weekday, 1, "0"],
  w: ({ weekday }) => [weekday, 1, "0"],
  x: (moment) => formatted(moment, "%m/%d/%y"),
  y: ({ year }) => two(year % 100),
  z: () => "",
  "%": () => "%",
};

/**
 * A moment as text.
 *
 * @param timeZone as "Europe/Berlin"; the process's own when left out
 */
export function strftime(date: Date, format: string, timeZone?: string): string {
  return formatted(timeZone === undefined ? local(date) : inZone(date, timeZone), format);
}

function formatted(moment: Moment, format: string): string {
  return format.replace(/%([-_0^#+]*)(\d*)([EO]?)(.)/gs, (whole, flags: string, width: string, _: string, name: string) => {
    // Python fills these in before C sees the format, so they know no flags.
    if ("fzZ".includes(name) && whole.length > 2) return name === "f" ? whole : "";
    handleSize(Number(width));
    const directive = Object.hasOwn(directives, name) ? directives[name] : undefined;
    return directive === undefined ? whole : styled(directive(moment), flags, width === "" ? undefined : Number(width), name);
  });
}

function styled(part: Part, flags: string, width: number | undefined, name: string): string {
  const flag = /[-_0+](?=[^-_0+]*$)/.exec(flags)?.[0];
  if (typeof part !== "string") {
    const [value, own, fill] = part;
    const filler = flag === "_" ? " " : flag === "0" || flag === "+" ? "0" : fill;
    const size = width ?? own;
    const sign = value < 0 ? "-" : "";
    const digits = String(Math.abs(value));
    if (flag === "-") return (sign + digits).padStart(width ?? 0, " ");
    return filler === "0" ? sign + digits.padStart(size - sign.length, "0") : (sign + digits).padStart(size, " ");
  }
  const changesCase = flags.includes("#") && name === "p" ? part.toLowerCase() : flags.includes("#") ? part.toUpperCase() : part;
  const text = flags.includes("^") && name !== "P" ? part.toUpperCase() : changesCase;
  return text.padStart(width ?? 0, flag === "0" || flag === "+" ? "0" : " ");
}

function local(date: Date): Moment {
  const parts = [date.getFullYear(), date.getMonth(), date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()] as const;
  return moment(date, ...parts);
}

function inZone(date: Date, timeZone: string): Moment {
  const format = new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const parts = new Map(format.formatToParts(date).map(({ type, value }) => [type, Number(value)]));
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? Number.NaN;
  return moment(date, part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
}

function moment(date: Date, year: number, month: number, day: number, hour: number, minute: number, second: number): Moment {
  const at = Date.UTC(year, month, day);
  const yearDay = Math.round((at - Date.UTC(year, 0, 1)) / 86_400_000);
  return { date, year, month, day, hour, minute, second, weekday: new Date(at).getUTCDay(), yearDay };
}

/** ISO 8601: weeks begin on Monday; the first has the year's first Thursday. */
function isoWeek({ year, month, day, weekday }: Moment): { readonly year: number; readonly week: number } {
  const thursday = new Date(Date.UTC(year, month, day + 3 - ((weekday + 6) % 7)));
  const isoYear = thursday.getUTCFullYear();
  return { year: isoYear, week: 1 + Math.floor((thursday.getTime() - Date.UTC(isoYear, 0, 1)) / (7 * 86_400_000)) };
}
