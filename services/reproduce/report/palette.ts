import { categorical, grounds, ordered, type Theme } from "../../shared/base/colors.js";

/** What isn't a series' own colour. */
const plain = {
  ground: grounds,
  ink: { light: "#1a1f26", dark: "#e6e9ed" },
  soft: { light: "#4a525c", dark: "#b4bcc6" },
  grid: { light: "#e1e4e8", dark: "#2b3139" },
} as const satisfies Record<string, Readonly<Record<Theme, string>>>;

/** The colours of a figure, as it is drawn: on light ground. */
export interface Palette {
  readonly ground: string;
  readonly ink: string;
  readonly soft: string;
  readonly grid: string;
  readonly series: readonly string[];
  /** The SVG with the colours that it has where dark is preferred. */
  adaptive(svg: string): string;
}

/** Colours for so many series. @param inOrder they have an order: the more, the stronger */
export function paletteOf(count: number, inOrder: boolean): Palette {
  const series = (theme: Theme) =>
    inOrder ? ordered(theme, count) : Array.from({ length: count }, (_, i) => cycled(categorical[theme], i));
  const [light, dark] = [series("light"), series("dark")];
  const pairs = new Map([
    ...Object.values(plain).map((one) => [one.light, one.dark] as const),
    ...light.map((color, i) => [color, dark[i]] as const),
  ]);
  const rules = [...pairs].map(([from, to]) => `[fill="${from}"]{fill:${to}}[stroke="${from}"]{stroke:${to}}`);
  // A rule of a style sheet counts more than a colour that an element has by an attribute.
  const style = `<style>@media (prefers-color-scheme:dark){${rules.join("")}}</style>`;
  return {
    ...{ ground: plain.ground.light, ink: plain.ink.light, soft: plain.soft.light, grid: plain.grid.light, series: light },
    adaptive: (svg) => tidied(svg).replace(/^<svg[^>]*>/, (head) => `${head}\n${style}`),
  };
}

/** Without what serves a mouse: what can't be seen, and the classes and rules of hovering; names that count drawings count no more. */
const tidied = (svg: string): string =>
  svg
    .replace(/<path [^>]*fill-opacity="0"[^>]*stroke-width="0"[^>]*><\/path>\n?/g, "")
    .replace(/<style ><!\[CDATA\[.*?\]\]>\s*<\/style>\n?/gs, "")
    .replace(/(<clipPath [^>]*>\s*<path [^>]*) fill="#000"/g, "$1")
    .replace(/\bzr\d+-/g, "zr-")
    .replace(/ (?:class|pointer-events|ecmeta_\w+)="[^"]*"/g, "");

const cycled = (colors: readonly string[], i: number): string => colors[i % colors.length] ?? "";
