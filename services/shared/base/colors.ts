/** Red, green, blue, each 0 to 255. */
export type Rgb = readonly [number, number, number];

/** How the page looks. */
export type Theme = "light" | "dark";

/** Colours of curves, told apart by people who are colour-blind too; each has contrast 3 or more with its theme's ground. */
export const categorical: Readonly<Record<Theme, readonly string[]>> = {
  light: ["#0b62b3", "#b8460e", "#00755c", "#9b2d7a", "#5b4bc4", "#7a6200", "#4d5965", "#a11d2e"],
  dark: ["#6bb2ff", "#ff9c66", "#4dd0ab", "#ef8ccb", "#b3a7ff", "#e0c14a", "#aab6c2", "#ff8f9b"],
};

/** Grounds of a theme: what curves and text stand on. */
export const grounds: Readonly<Record<Theme, string>> = { light: "#ffffff", dark: "#15181d" };

/** From nothing to much. */
const sequential: Readonly<Record<Theme, readonly string[]>> = {
  light: ["#ffffff", "#fee8c8", "#fdbb84", "#ef6548", "#b30000"],
  dark: ["#15181d", "#4a2412", "#8c3d14", "#dd7a35", "#ffd49a"],
};

/** From much below nothing to much above. */
const diverging: Readonly<Record<Theme, readonly string[]>> = {
  light: ["#b35806", "#f1a340", "#ffffff", "#84a9e0", "#2156a5"],
  dark: ["#ffb066", "#8f5213", "#15181d", "#234a85", "#8dbcff"],
};

/** The ends of a scale whose every colour has contrast 3 or more with the ground: the more, the stronger. */
const ramp: Readonly<Record<Theme, readonly [string, string]>> = { light: ["#5492cc", "#08274d"], dark: ["#3f7fbd", "#dcecff"] };

/** Colours of values that have an order, the least first. One alone has the strongest. */
export function ordered(theme: Theme, count: number): string[] {
  const [from, to] = ramp[theme].map(parse) as [Rgb, Rgb];
  return Array.from({ length: count }, (_, i) => hex(mix(from, to, count > 1 ? i / (count - 1) : 1)));
}

/** The colour of a value between 0 (or −1, of a diverging scale) and 1. */
export function heat(theme: Theme, value: number, around: "zero" | "least"): Rgb {
  const stops = (around === "zero" ? diverging : sequential)[theme].map(parse);
  const place = Math.min(1, Math.max(0, around === "zero" ? (value + 1) / 2 : value)) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  return mix(stops[low] ?? [0, 0, 0], stops[low + 1] ?? [0, 0, 0], place - low);
}

/** A colour between two. */
function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const at = (i: 0 | 1 | 2): number => Math.round(from[i] + (to[i] - from[i]) * share);
  return [at(0), at(1), at(2)];
}

/** Writes `#rrggbb`. */
const hex = (color: Rgb): string => `#${color.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;

/** Black or white, whichever can be read better on a colour: at least 4.5 to 1 on any. */
export const ink = (ground: Rgb): string => (contrast(ground, [0, 0, 0]) >= contrast(ground, [255, 255, 255]) ? "#000000" : "#ffffff");

/** A colour as CSS has it. */
export const css = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

/** Reads `#rrggbb`. */
export function parse(hex: string): Rgb {
  const bits = Number.parseInt(hex.slice(1), 16);
  return [bits >> 16, (bits >> 8) & 255, bits & 255];
}

/** Contrast ratio of two colours, 1 to 21 (WCAG 2.2, 1.4.3). */
export function contrast(a: Rgb, b: Rgb): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(color: Rgb): number {
  const [r, g, b] = color.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
